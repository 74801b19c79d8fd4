"""Gives the tasks of dead workers to others, or ends them; and ends what nobody began in time."""

from __future__ import annotations

from celery import Celery
from kombu.log import get_logger

from cq_compat.burial import bury
from cq_compat.conf import conf
from cq_compat.database import OwnConnection
from cq_compat.keeper.ringing import Ringing
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, KeepingMirror, Orphan
from cq_compat.operations import revoked
from cq_compat.signals import task_reaped

logger = get_logger(__name__)

#: Rows looked at in one run.
BATCH = 100


class Reaping:
    """Looks for tasks whose owner's lease is over.

    Args:
        ringing: sends those that run again.
    """

    interval = 2.5

    def __init__(
        self, app: Celery, lease: Lease, connection: OwnConnection, ringing: Ringing
    ) -> None:
        self._app = app
        self._lease = lease
        self._connection = connection
        self._ringing = ringing

    def run_once(self) -> bool:
        """Release or bury a batch of orphans."""
        mirror = KeepingMirror(self._connection)
        return bool(mirror.dead_workers()) and self._reap(mirror)

    def _reap(self, mirror: KeepingMirror) -> bool:
        released: list[Orphan] = []
        buried: list[tuple[Orphan, Claim]] = []
        with self._connection.transaction():
            orphans = mirror.orphans(BATCH)
            for orphan in orphans:
                if orphan.may_run_again(conf().MAX_DEATHS):
                    if mirror.release(orphan):
                        released.append(orphan)
                elif (claim := mirror.take_over(orphan, self._lease.owner)) is not None:
                    buried.append((orphan, claim))
        for orphan in released:
            self._note_released(orphan)
        # Afterwards, because others must see the claim: if this process dies meanwhile, the tasks
        # are a dead worker's once more.
        for orphan, claim in buried:
            _tell(orphan, runs_again=False)
            bury(self._app, claim, orphan.message, orphan.worker)
        return len(orphans) == BATCH

    def _note_released(self, orphan: Orphan) -> None:
        self._ringing.hurry()
        logger.warning(
            "Task %s was with %s, which is gone, and is sent again.", orphan.id, orphan.worker
        )
        _tell(orphan, runs_again=True)


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


def _tell(orphan: Orphan, *, runs_again: bool) -> None:
    task_reaped.tell(
        task_id=orphan.id,
        name=orphan.name,
        queue=orphan.queue,
        worker=orphan.worker,
        runs_again=runs_again,
    )
