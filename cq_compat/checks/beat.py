"""Checks of who runs the schedules; each names the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import current_app
from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register
from kombu.utils.imports import symbol_by_name

APP = "django_celery_beat"
PATH = "cq_compat.beat:Scheduler"


@register("cq")
def check_beat(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check the scheduler that beat uses, and the apps that it needs."""
    return list(_check(current_app.conf.beat_scheduler))


def _check(name: Any) -> Iterator[CheckMessage]:
    has_rows = apps.is_installed(APP)
    if name == "cq":
        yield Error(
            "CELERY_BEAT_SCHEDULER is 'cq', which the admin's pages of schedules cannot resolve.",
            hint=f"Set it to {PATH!r}; 'cq' is for the command line, celery beat -S cq.",
            id="cq.E008",
        )
    elif str(name).replace(":", ".") == PATH.replace(":", ".") and not has_rows:
        yield Error(
            f"CELERY_BEAT_SCHEDULER is {name!r}, and its tables are not there.",
            hint=f"Add {APP!r} to INSTALLED_APPS and run manage.py migrate.",
            id="cq.E009",
        )
    elif has_rows and not _has_lease(name):
        yield Warning(
            f"The scheduler {name!r} knows of no other beat: two at once run every tick twice, and "
            "one that is killed repeats the ticks of its last minutes.",
            hint=f"Set CELERY_BEAT_SCHEDULER to {PATH!r}, and let no beat be started with another "
            "one by -S.",
            id="cq.W010",
        )


def _has_lease(name: Any) -> bool:
    from cq_compat.beat import Scheduler

    try:
        found = symbol_by_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, Scheduler)
