"""Django settings of both sides; the environment names the broker and the Redis server."""

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
CELERY_BROKER_URL = os.environ["CQ_BENCH_BROKER"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CQ = {"DURABLE": False, "MIRROR": False}  # the transport alone, as the other side has no rows
CELERY_TASK_IGNORE_RESULT = True  # and there is no result backend
