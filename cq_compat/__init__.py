"""Celery tasks on a Django Channels layer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cq_compat.asynchronous import aget

if TYPE_CHECKING:
    from cq_compat.gathering import bulk
    from cq_compat.native.decorator import task
    from cq_compat.native.log_handler import TaskLogHandler
    from cq_compat.native.running import current_task
    from cq_compat.native.schedules import schedule_task, unschedule_task

__all__ = [
    "TaskLogHandler",
    "aget",
    "bulk",
    "current_task",
    "schedule_task",
    "task",
    "unschedule_task",
]

#: What is imported when it is asked for: this package is loaded before the project's apps are.
_LATER = {
    "TaskLogHandler": "cq_compat.native.log_handler",
    "bulk": "cq_compat.gathering",
    "current_task": "cq_compat.native.running",
    "schedule_task": "cq_compat.native.schedules",
    "task": "cq_compat.native.decorator",
    "unschedule_task": "cq_compat.native.schedules",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
