"""On what terms a task waits whose body has ended."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.result import AsyncResult

from cq_compat.database import Connection
from cq_compat.mirror import FamilyMirror, Terms


def terms_of(app: Celery, request: Any, returned: Any) -> Terms:
    """Return the terms of a task whose body has returned something: of a task the result is to be
    the body's.
    """
    task = app.tasks.get(getattr(request, "task", None))
    return Terms(_task_id(task, returned), bool(getattr(task, "subtasks_may_fail", False)))


def join_returned(connection: Connection, terms: Terms, task_id: str) -> None:
    """Let a body's task wait for the one that the body has returned."""
    if terms.result_from is not None:
        FamilyMirror(connection).join(terms.result_from, task_id)


def _task_id(task: Any, returned: Any) -> str | None:
    from cq_compat.models import Task
    from cq_compat.native.celery_task import NativeTask

    # Celery's tasks may return its results of others, as values.
    kinds = (Task, AsyncResult) if isinstance(task, NativeTask) else (Task,)
    return str(returned.id) if isinstance(returned, kinds) else None
