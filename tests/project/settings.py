"""Django settings of the test project; the environment may override each of them.

CQ_TEST_SETTINGS is a JSON object of settings: `{"CELERY_BROKER_URL": "channels://", ...}`.
"""

import json
import os

SECRET_KEY = "tests"
INSTALLED_APPS = ["cq_compat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# A project with rows says so by a CQ, and a database, of its own.
CQ = {"DURABLE": False, "MIRROR": False}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CELERY_BROKER_URL = "channels://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = True

globals().update(json.loads(os.environ.get("CQ_TEST_SETTINGS", "{}")))
