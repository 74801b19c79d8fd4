"""Django settings of the shop, with Celery over Redis."""

import django

SECRET_KEY = "a shop"
INSTALLED_APPS = ["shop"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "shop.sqlite3",
        "OPTIONS": {"timeout": 20},
    },
}
if django.VERSION >= (5, 1):
    DATABASES["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
USE_TZ = True

CELERY_BROKER_URL = "redis://localhost:6379/0"
CELERY_RESULT_BACKEND = "redis://localhost:6379/1"
CELERY_TASK_ROUTES = {
    "shop.tasks.send_mail": {"queue": "mails"},
    "shop.tasks.make_thumbnail": {"queue": "thumbnails"},
}
