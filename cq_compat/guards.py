"""Keeps a body from starting whose claim does not hold any more.

Celery calls ``app.loader.on_task_init`` before every body, inside the block from which ``Reject``
reaches the consumer. Celery's own Django support assigns to the loader in the same way; a signal
would not do, because Celery goes on after a receiver has raised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from kombu.log import get_logger

from cq_compat.database import own_connection
from cq_compat.mirror import Claim, WorkingMirror
from cq_compat.persistence import persist
from cq_compat.records import HEADER
from cq_compat.signals import start_refused

logger = get_logger(__name__)


def guard_starts(app: Celery) -> None:
    """Let every task of ``app`` start only if its claim holds."""
    if not isinstance(app.loader.on_task_init, partial):
        app.loader.on_task_init = partial(_begin, app.loader.on_task_init)


def claim_of(request: Any) -> Claim | None:
    """Return the claim of a task request; ``None`` if it was not claimed."""
    return None if request is None else Claim.read(str(request.id), getattr(request, HEADER, None))


def _begin(on_task_init: Callable[[str, Any], None], task_id: str, task: Any) -> None:
    on_task_init(task_id, task)
    request = task.request
    claim = None if request.called_directly or request.is_eager else claim_of(request)
    if claim is None or persist(Start(claim, acks_late=bool(task.acks_late))):
        return
    logger.warning("Task %s[%s] does not start: its claim was given to others.", task.name, task_id)
    queue = (request.delivery_info or {}).get("routing_key", "")
    start_refused.tell(task_id=task_id, name=task.name, queue=queue)
    # "Requeue" asks the consumer, which knows by the same row that the message may not go back.
    raise Reject("the claim on the task does not hold", requeue=True)


class Start:
    """The start of one body, which may have to be written more than once."""

    def __init__(self, claim: Claim, *, acks_late: bool) -> None:
        self._claim = claim
        self._acks_late = acks_late
        self._again = False

    def __call__(self) -> bool:
        """Write it; tell whether the claim holds."""
        again, self._again = self._again, True
        mirror = WorkingMirror(own_connection())
        return mirror.start(self._claim, acks_late=self._acks_late, again=again)
