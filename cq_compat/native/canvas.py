"""What Celery's canvas has tied to a task: its callbacks, and the rest of its chain."""

from __future__ import annotations

from typing import Any

from celery import Celery, maybe_signature


def has_next(request: Any) -> bool:
    """Tell whether something is to be published when a body has returned."""
    return bool(request.callbacks or request.chain)


def drop_next(request: Any) -> None:
    """Keep Celery, which looks into the request of the body, from publishing it."""
    request.callbacks = request.chain = None


def publish_next(app: Celery, request: Any, value: Any) -> None:
    """Publish what is tied to a task that has succeeded, as Celery does."""
    kin: dict[str, Any] = {"parent_id": request.id, "root_id": request.root_id or request.id}
    if app.conf.task_inherit_parent_priority:
        kin["priority"] = (request.delivery_info or {}).get("priority")
    for callback in request.callbacks or ():
        maybe_signature(callback, app=app).apply_async((value,), **kin)
    if request.chain:
        *rest, following = request.chain
        maybe_signature(following, app=app).apply_async((value,), chain=rest, **kin)


def is_held(app: Celery, request: Any) -> bool:
    """Tell whether it waits with a task for the task's subtasks: that of ``@task`` does, and what
    is tied to another one's was published when the body returned.
    """
    return getattr(app.tasks.get(request.task), "holds_next", False)
