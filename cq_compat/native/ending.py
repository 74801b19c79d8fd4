"""Ends tasks in the transaction of their bodies.

What the body has written, the end of its task and the next tasks of its chain are committed
together, so each is there once. Celery, which goes on when the body has returned, finds it done.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore
from django.db import DEFAULT_DB_ALIAS
from kombu.log import get_logger

from cq_compat.backend import CqBackend
from cq_compat.database import CallersConnection, Connection, alias
from cq_compat.guards import claim_of
from cq_compat.mirror import Claim, Terms, WorkingMirror
from cq_compat.native.canvas import has_next, publish_next
from cq_compat.native.chord_parts import count_added
from cq_compat.native.ends import note_end
from cq_compat.native.telling import settle
from cq_compat.native.terms import join_returned, terms_of
from cq_compat.waking import tell

if TYPE_CHECKING:
    from cq_compat.native.celery_task import NativeTask

logger = get_logger(__name__)


class ClaimLost(Ignore):  # type: ignore[misc]
    """The task was given to others while its body ran; what this one has written is undone."""


def end_with_body(task: NativeTask, value: Any) -> bool:
    """End the task of a body that has returned in a transaction, or let it wait for its subtasks;
    tell whether Celery, once that is committed, is to publish what is tied to the task. Where that
    is not the rows' transaction, Celery ends the task, too.

    Raises:
        ClaimLost: it is not this worker's any more.
    """
    request, claim = task.request, claim_of(task.request)
    if claim is None or alias() != DEFAULT_DB_ALIAS or not isinstance(task.backend, CqBackend):
        return not waits(task, value)
    connection, terms = CallersConnection(), terms_of(task.app, request, value)
    settle(request)  # on a connection beside this one, if the database lets it
    join_returned(connection, terms, claim.task_id)
    if has_next(request) and not _waits(connection, claim, terms):
        publish_next(task.app, request, value)
    outcome = task.backend.outcome_of(None if terms.result_from else value, request)
    end = WorkingMirror(connection).end(claim, outcome, terms)
    if end is None:
        raise undone(task, claim)
    count_added(request)
    note_end(request, end)
    if end.watcher and not end.is_waiting:
        connection.on_commit(partial(tell, task.app, end.watcher, end.task_id))
    return False


def undone(task: NativeTask, claim: Claim) -> ClaimLost:
    """Return, and log, what undoes the body of a task that others have by now."""
    logger.warning("Task %s[%s] is undone: others have it now.", task.name, claim.task_id)
    return ClaimLost("the claim on the task does not hold")


def waits(task: NativeTask, value: Any) -> bool:
    """Tell whether something is tied to a task that is to wait for its subtasks."""
    request, claim = task.request, claim_of(task.request)
    if claim is None or not has_next(request):
        return False
    return _waits(CallersConnection(), claim, terms_of(task.app, request, value))


def _waits(connection: Connection, claim: Claim, terms: Terms) -> bool:
    # As the end that is written later decides: else what is tied to the task is published twice, or
    # by nobody.
    return terms.result_from is not None or WorkingMirror(connection).has_subtasks(claim.task_id)
