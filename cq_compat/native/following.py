"""What follows from the end of a task, once that is committed.

Whoever dies in between, or finds the database away, leaves it to a keeper: see
``cq_compat.keeper.families``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from celery import current_app
from kombu.log import get_logger

from cq_compat import states
from cq_compat.mirror import End
from cq_compat.native.chaining import go_on
from cq_compat.native.completion import complete

logger = get_logger(__name__)


def follow(ends: Sequence[End]) -> None:
    """Let go on, or end, whatever waits for these tasks."""
    for end in ends:
        _or_leave(end.task_id, partial(_follow, end))


def go_on_after(task_id: str) -> None:
    """Let go on, or end, what was chained to a task, if that has ended by now."""
    app = current_app._get_current_object()
    _or_leave(task_id, partial(go_on, app, task_id))


def complete_after(task_id: str) -> None:
    """End a task if it waits for nothing any more."""
    app = current_app._get_current_object()
    _or_leave(task_id, partial(complete, app, task_id))


def _or_leave(task_id: str, step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as exc:  # the task itself has ended, or is published: its process must go on
        logger.warning("What follows from task %s is left to a keeper: %r", task_id, exc)


def _follow(end: End) -> None:
    app = current_app._get_current_object()
    if end.is_waiting:
        complete(app, end.task_id)
        return
    if end.state == states.REVOKED:
        _revoke_family(end.task_id)
    if end.has_next:
        go_on(app, end.task_id)
    if end.parent_id is not None:
        complete(app, end.parent_id)


def _revoke_family(task_id: str) -> None:
    from cq_compat.native.revoking import revoke_members

    revoke_members([task_id])
