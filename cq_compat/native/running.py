"""The task whose body runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import current_task as running_celery_task
from celery._state import get_current_worker_task

from cq_compat.database import alias

if TYPE_CHECKING:
    from cq_compat.models import Task
    from cq_compat.native.in_place import InPlaceTask

#: The attribute of a Celery request that has the task of its body.
_TASK = "cq_task"


def current_task() -> Task | InPlaceTask | None:
    """Return the task whose body runs here, be it of ``@task`` or ``@shared_task``; ``None``
    elsewhere.
    """
    innermost = running_celery_task._get_current_object()
    if innermost is None:
        return None
    found = in_place_task_of(innermost.request)
    if found is not None:
        return found
    working = get_current_worker_task()
    if working is None or working.request.is_eager:
        return _in_place(innermost)
    return task_of(working)


def task_of(celery_task: Any) -> Task:
    """Return the task of the body that a worker runs, one object for the whole body."""
    request = celery_task.request
    found: Task | None = getattr(request, _TASK, None)
    if found is None:
        found = _live(celery_task.name, request)
        setattr(request, _TASK, found)
    return found


def begun_task_of(request: Any) -> Task | InPlaceTask | None:
    """Return the task of a body that has asked for it; ``None`` of one that has not."""
    return getattr(request, _TASK, None)


def in_place_task_of(request: Any) -> InPlaceTask | None:
    """Return the task of a body that was called in place; ``None`` for other requests."""
    in_place = request.called_directly or request.is_eager
    return getattr(request, _TASK, None) if in_place else None


def begin_in_place(request: Any, task: InPlaceTask) -> None:
    """Let a body that is called in place have its task."""
    setattr(request, _TASK, task)


def handle(task_id: str, **known: Any) -> Task:
    """Return a task by its id, without a query: the columns that are not known are read when they
    are asked for.
    """
    from cq_compat.models import Task

    known = {"id": task_id, **known}
    names = [field.attname for field in Task._meta.concrete_fields if field.attname in known]
    found: Task = Task.from_db(alias(), names, [known[name] for name in names])
    return found


def _in_place(celery_task: Any) -> InPlaceTask:
    # Of @shared_task: what its body publishes is published, unless the app is an eager one.
    from cq_compat.native.in_place import InPlaceTask
    from cq_compat.native.serial import SerialTask

    request = celery_task.request
    made = (SerialTask if request.is_eager else InPlaceTask)(celery_task.name, request.id or "")
    begin_in_place(request, made)
    return made


def _live(name: str, request: Any) -> Task:
    return handle(
        request.id,
        name=name,
        parent_id=request.parent_id,
        root_id=request.root_id,
        group_id=request.group,
        retries=request.retries or 0,
    )
