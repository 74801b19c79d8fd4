"""Settings of the demo.

Tasks need four of these: the layer `tasks`, CELERY_BROKER_URL, CELERY_RESULT_BACKEND and
`cq_compat` among the apps. The rest is what a small Django project has anyway.
"""

import os

import django
from celery.schedules import crontab

from demo.databases import parse_database_url
from demo.places import ROOT, redis_socket, var

VAR = var()
REDIS_URL = os.environ.get("CQ_DEMO_REDIS_URL") or f"unix://{redis_socket()}"
REDIS_IS_OURS = not os.environ.get("CQ_DEMO_REDIS_URL")
DATABASE_URL = os.environ.get("DATABASE_URL") or f"sqlite:///{VAR / 'db.sqlite3'}"

# Django

# The demo gives its programs a key of their own at each start; this one signs nothing that matters.
SECRET_KEY = os.environ.get("SECRET_KEY") or "for programs that are started by hand"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = [
    "cq_compat",
    "django_celery_beat",
    "demo.shop",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "demo" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "demo.urls"
DATABASES = {"default": parse_database_url(DATABASE_URL)}
if DATABASE_URL.startswith("sqlite:"):
    DATABASES["default"]["OPTIONS"]["timeout"] = 20  # seconds that a writer waits for others
    if django.VERSION >= (5, 1):
        # One that has begun to read waits for nobody when it wants to write: it fails.
        DATABASES["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
        # With a write-ahead log this is safe from all but the end of the machine itself.
        DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA synchronous = NORMAL"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATICFILES_DIRS = [ROOT / "demo" / "static"]
# Ports share their cookies: names of our own leave other projects on this machine logged in.
CSRF_COOKIE_NAME = "cq_demo_csrf"
SESSION_COOKIE_NAME = "cq_demo_session"
MEDIA_ROOT = VAR / "media"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = VAR / "mails"
DEFAULT_FROM_EMAIL = "The corner shop <shop@example.com>"

# Channels: one layer for the open pages, one for tasks, so that neither fills the other's queues.

REDIS_HOST = {
    "address": REDIS_URL,
    "socket_timeout": 15,  # seconds; must exceed the 5 for which the layer waits for a message
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [REDIS_HOST], "prefix": "shop-pages"},
    },
    "tasks": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            "hosts": [REDIS_HOST],
            "prefix": "shop-tasks",
            "capacity": 1_000_000,  # the default of 100 refuses the 101st waiting task
            "expiry": 14 * 24 * 60 * 60,  # seconds; the default of 60 drops tasks that wait longer
        },
    },
}

# Celery

CELERY_BROKER_URL = "channels://tasks"
CELERY_RESULT_BACKEND = "cq"  # results are in the tasks' rows, where the page finds them, too
CELERY_TASK_ROUTES = {
    "demo.shop.tasks.send_order_mail": {"queue": "mails"},
    "demo.shop.tasks.make_thumbnail": {"queue": "pictures"},
}
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_TASK_TRACK_STARTED = True
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what waits, waits in the queue, where the page shows it
CELERY_BEAT_SCHEDULER = "cq_compat.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "Report, every night at two": {
        "task": "demo.shop.tasks.build_report",
        "schedule": crontab(hour="2", minute="0"),
    },
    "Tidying up, every night at three": {
        "task": "demo.shop.tasks.tidy_up",
        "schedule": crontab(hour="3", minute="0"),
    },
    "A customer, every 15 seconds": {
        "task": "demo.shop.tasks.serve_a_customer",
        "schedule": 15.0,
    },
}
