"""The Django project of a process."""

from __future__ import annotations

import os

import django
from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE, settings


def set_up() -> None:
    """Set Django up where nobody has: the ledger is one of the project's apps, and of Celery's
    commands only the worker and beat load them.
    """
    has_settings = settings.configured or os.environ.get(ENVIRONMENT_VARIABLE)
    if has_settings and not (apps.ready or apps.loading):
        django.setup()
