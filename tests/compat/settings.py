"""Django settings for test suites that are no Django projects; they want the channel layers."""

import json
import os
from typing import Any

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
if "CQ_COMPAT_DATABASE" in os.environ:
    INSTALLED_APPS = [*INSTALLED_APPS, "cq_compat"]
    DATABASES = {"default": json.loads(os.environ["CQ_COMPAT_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "tests"
USE_TZ = True


def _layer(host: str) -> dict[str, Any]:
    config = {"hosts": [host], "prefix": "compat", "capacity": 1_000_000, "expiry": 86_400}
    return {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": config}


CHANNEL_LAYERS = {
    "default": _layer(os.environ["CQ_COMPAT_REDIS_URL"]),
    "gone": _layer("redis://127.0.0.1:1/0"),  # nobody listens there
}
