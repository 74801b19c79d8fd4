"""On what terms a task waits whose body has ended."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.result import AsyncResult

from cq_compat.database import Connection
from cq_compat.mirror import FamilyMirror, Terms


def terms_of(app: Celery, request: Any, returned: Any) -> Terms:
    """Return the terms of a task whose body has returned something: of a task, be it Celery's
    result of it or this package's, the result is to be the body's.
    """
    task = app.tasks.get(getattr(request, "task", None))
    return Terms(_task_id(returned), bool(getattr(task, "subtasks_may_fail", False)))


def join_returned(connection: Connection, terms: Terms, task_id: str) -> None:
    """Let a body's task wait for the one that the body has returned."""
    if terms.result_from is not None:
        FamilyMirror(connection).join(terms.result_from, task_id)


def _task_id(returned: Any) -> str | None:
    from cq_compat.models import Task

    return str(returned.id) if isinstance(returned, (Task, AsyncResult)) else None
