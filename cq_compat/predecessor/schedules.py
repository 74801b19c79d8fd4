"""Schedules of django-cq's repeating tasks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.apps import apps
from django.conf import settings

from cq_compat.native.schedules import APP, schedule_task
from cq_compat.predecessor.tables import OldSchedule

#: Its housekeeping, which has no use here.
_OWN = "cq.tasks."


def schedules(alias: str) -> list[OldSchedule]:
    """Return the schedules of the project's own tasks."""
    found = OldSchedule._default_manager.using(alias).order_by("id")
    return [old for old in found if not old.func_name.startswith(_OWN)]


def can_schedule() -> bool:
    """Tell whether there is where to put them."""
    return bool(apps.is_installed(APP))


def take_over(alias: str) -> int:
    """Let beat run them, and return how many they are; a second time changes nothing.

    They have the names that ``schedule_task`` gives, and a number where one task has several.
    """
    old = schedules(alias)
    counts = Counter(one.func_name for one in old)
    for one in old:
        schedule_task(apps, one.crontab, one.func_name, **_terms(one, counts[one.func_name] == 1))
    return len(old)


def _terms(old: OldSchedule, is_only: bool) -> dict[str, Any]:
    return {
        "args": old.args,
        "kwargs": old.kwargs,
        "name": old.func_name if is_only else f"{old.func_name} {old.pk}",
        "timezone": settings.TIME_ZONE,  # in which django-cq has read them
        "coalesce": old.coalesce,
    }
