"""Django settings of every side; the environment says what sets it apart."""

import json
import os

SECRET_KEY = "benchmarks"
INSTALLED_APPS = ["cq_compat"]
USE_TZ = True

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            "hosts": [os.environ["CQ_BENCH_LAYER"]],
            "capacity": 10_000_000,  # the whole backlog waits in the layer
            "expiry": 24 * 3600,
        },
    }
}
if database := os.environ["CQ_BENCH_DATABASE"]:
    DATABASES = {"default": json.loads(database)}
CQ = {} if os.environ["CQ_BENCH_ROWS"] else {"DURABLE": False, "MIRROR": False}

CELERY_BROKER_URL = os.environ["CQ_BENCH_BROKER"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = os.environ["CQ_BENCH_BACKEND"] or None
CELERY_TASK_IGNORE_RESULT = not CELERY_RESULT_BACKEND
if CELERY_RESULT_BACKEND == "django-db":
    INSTALLED_APPS.append("django_celery_results")
