"""Ends a task whose body has died with its process."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.exceptions import WorkerLostError
from kombu.log import get_logger

from cq_compat.backend import CqBackend
from cq_compat.database import own_connection
from cq_compat.mirror import Claim, WorkingMirror
from cq_compat.requests import request_of
from cq_transport.envelope import from_text

logger = get_logger(__name__)


def bury(app: Celery, claim: Claim, message: str, worker: str) -> None:
    """Fail a task with ``WorkerLostError``, and let what waits for it go on.

    Args:
        claim: the right to end it.
        message: the task's message, as its row has it.
        worker: the node name of the worker that has died.
    """
    logger.error("Task %s has ended with its worker %s.", claim.task_id, worker)
    error = WorkerLostError(f"Worker {worker} was lost while it ran the task.")
    backend: Any = app.backend
    try:
        request = request_of(from_text(message), claim)
        if isinstance(backend, CqBackend) or _fail(app, claim, error):
            backend.mark_as_failure(claim.task_id, error, request=request)
    except Exception:  # an unreadable message, an error callback that cannot be called
        logger.exception("Task %s: what follows from its end has failed.", claim.task_id)
        _fail(app, claim, error)


def _fail(app: Celery, claim: Claim, error: Exception) -> bool:
    outcome = CqBackend(app).outcome_of_error(error)
    return WorkingMirror(own_connection()).finish(claim, outcome)
