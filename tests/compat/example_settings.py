"""The settings of Celery's example project, with another broker: what a project would change."""

import os

from proj.settings import *  # noqa: F403
from proj.settings import INSTALLED_APPS

CELERY_BROKER_URL = os.environ["TEST_BROKER"]

if CELERY_BROKER_URL.startswith("channels"):
    from tests.compat.settings import CHANNEL_LAYERS  # noqa: F401

    INSTALLED_APPS = [*INSTALLED_APPS, "cq_compat"]
