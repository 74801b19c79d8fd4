"""Gives the tasks of dead workers to others, or ends them; and ends what nobody began in time."""

from __future__ import annotations

from celery import Celery
from kombu.log import get_logger

from cq_compat.burial import bury
from cq_compat.conf import conf
from cq_compat.database import OwnConnection
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, KeepingMirror, Orphan
from cq_compat.operations import revoked

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
        buried: list[tuple[Orphan, Claim]] = []
        with self._connection.transaction():
            mirror = KeepingMirror(self._connection)
            orphans = mirror.orphans(BATCH)
            for orphan in orphans:
                if orphan.may_run_again(conf().MAX_DEATHS):
                    self._release(mirror, orphan)
                elif (claim := mirror.take_over(orphan, self._lease.owner)) is not None:
                    buried.append((orphan, claim))
        # Afterwards, because others must see the claim: if this process dies meanwhile, the tasks
        # are a dead worker's once more.
        for orphan, claim in buried:
            bury(self._app, claim, orphan.message, orphan.worker)
        return len(orphans) == BATCH

    def _release(self, mirror: KeepingMirror, orphan: Orphan) -> None:
        if mirror.release(orphan):
            logger.warning(
                "Task %s was with %s, which is gone, and is sent again.", orphan.id, orphan.worker
            )


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
