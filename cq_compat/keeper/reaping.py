"""Gives the tasks of dead workers to others, or ends them; and ends what nobody began in time."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.exceptions import WorkerLostError
from kombu.log import get_logger
from kombu.serialization import loads

from cq_compat import states
from cq_compat.backend import CqBackend
from cq_compat.conf import conf
from cq_compat.database import OwnConnection
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, KeepingMirror, Orphan
from cq_compat.operations import revoked
from cq_compat.records import HEADER
from cq_transport.envelope import from_text

logger = get_logger(__name__)

#: Rows looked at in one run.
BATCH = 100


class Reaping:
    """Looks for tasks whose owner's lease is over."""

    interval = 2.5

    def __init__(self, app: Celery, lease: Lease, connection: OwnConnection) -> None:
        self._app = app
        self._lease = lease
        self._connection = connection

    def run_once(self) -> bool:
        """Release or bury a batch of orphans."""
        with self._connection.transaction():
            mirror = KeepingMirror(self._connection)
            orphans = mirror.orphans(BATCH)
            for orphan in orphans:
                self._decide(mirror, orphan)
        return len(orphans) == BATCH

    def _decide(self, mirror: KeepingMirror, orphan: Orphan) -> None:
        begun = orphan.state != states.RECEIVED
        if begun and (not orphan.acks_late or orphan.deaths + 1 >= conf().MAX_DEATHS):
            claim = mirror.take_over(orphan, self._lease.owner)
            if claim is not None:
                self._bury(orphan, claim)
        elif mirror.release(orphan):
            logger.warning(
                "Task %s was with %s, which is gone, and is sent again.", orphan.id, orphan.worker
            )

    def _bury(self, orphan: Orphan, claim: Claim) -> None:
        logger.error("Task %s has ended with its worker %s.", orphan.id, orphan.worker)
        error = WorkerLostError(f"Worker {orphan.worker} was lost while it ran the task.")
        request = _request(orphan, claim)
        backend: Any = self._app.backend
        if not isinstance(backend, CqBackend):
            CqBackend(self._app).mark_as_failure(orphan.id, error, request=request)
        backend.mark_as_failure(orphan.id, error, request=request)


class Expiring:
    """Ends tasks that nobody has begun in time."""

    interval = 10.0

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection

    def run_once(self) -> bool:
        """Revoke a batch."""
        mirror = KeepingMirror(self._connection)
        expired = mirror.expired(BATCH)
        if expired:
            mirror.revoke(expired, revoked("expired"))
        return len(expired) == BATCH


def _request(orphan: Orphan, claim: Claim) -> Context:
    """Return the task's request as its worker had it."""
    envelope = from_text(orphan.message)
    args, kwargs, embed = loads(
        envelope["body"],
        envelope.get("content-type"),
        envelope.get("content-encoding"),
        accept={envelope.get("content-type")},
    )
    info = envelope["properties"].get("delivery_info") or {}
    return Context(
        {**envelope["headers"], HEADER: claim.header(), "delivery_info": info, **(embed or {})},
        args=args,
        kwargs=kwargs,
        called_directly=False,
    )
