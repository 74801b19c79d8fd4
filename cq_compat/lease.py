"""A worker's lease: while it is renewed, nobody else gets the worker's tasks."""

from __future__ import annotations

import os
import threading
from time import monotonic
from uuid import UUID, uuid4

from cq_compat.conf import HEARTBEAT, conf
from cq_compat.database import OwnConnection
from cq_compat.dialects import dialect_of, stored_uuid

#: Part of a lease after which a worker that could not renew it takes no more tasks.
SAFE = 2 / 3


class Lease:
    """One worker's lease, of which the database's clock is the judge.

    Args:
        hostname: the worker's node name.
        broker: the broker that it consumes from.
    """

    def __init__(self, hostname: str, broker: str) -> None:
        self.hostname = hostname
        self.broker = broker
        self.owner: UUID = uuid4()
        #: Its own, so that no claim that waits for a locked row holds a renewal up.
        self.connection = OwnConnection()
        self._turn = threading.Lock()
        self._begun = False
        self._renewed_at = 0.0
        #: Whether no keeper led those of the broker when the lease was renewed last. It is asked
        #: with the renewal, so that workers that do not lead ask for nothing else.
        self.lacks_leader = True

    @property
    def is_safe(self) -> bool:
        """Whether the lease was renewed lately enough to take tasks."""
        return self._begun and monotonic() - self._renewed_at < SAFE * conf().LEASE

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return min(HEARTBEAT, conf().LEASE / 4)

    def renew(self) -> None:
        """Make the lease last; a worker that was given up begins as another."""
        now = monotonic()  # before the statement: a slow one must not seem to have just begun
        with self._turn:  # two threads that find it given up must not begin as two workers
            if not (self._begun and self._renew()):
                self._begin()
            self._renewed_at = max(now, self._renewed_at)

    def end(self) -> None:
        """Give the lease up: whatever the worker still owns is for others."""
        if self._begun:
            self._begun = False
            now = dialect_of(self.connection.vendor).now
            self.connection.execute(
                f"UPDATE cq_worker SET lease_until = {now} WHERE id = %s", [self._stored]
            )
            self.connection.close()

    def _begin(self) -> None:
        self.owner = uuid4()
        connection = self.connection
        dialect = dialect_of(connection.vendor)
        connection.execute(
            "INSERT INTO cq_worker (id, hostname, pid, broker, started_at, seen_at, lease_until) "
            f"VALUES (%s, %s, %s, %s, {dialect.now}, {dialect.now}, {dialect.later})",
            [self._stored, self.hostname, os.getpid(), self.broker, conf().LEASE],
        )
        self._begun = True

    def _renew(self) -> bool:
        connection = self.connection
        dialect = dialect_of(connection.vendor)
        renew = (
            f"UPDATE cq_worker SET seen_at = {dialect.now}, lease_until = {dialect.later} "
            "WHERE id = %s AND stopped_at IS NULL"
        )
        lacks_leader = (
            f"NOT EXISTS (SELECT 1 FROM cq_layer WHERE broker = %s AND leads_until > {dialect.now})"
        )
        mine: list[object] = [conf().LEASE, self._stored]
        if dialect.has_returning:
            rows = connection.fetch(f"{renew} RETURNING {lacks_leader}", [*mine, self.broker])
        elif connection.execute(renew, mine):
            rows = connection.fetch(f"SELECT {lacks_leader}", [self.broker])
        else:
            rows = []
        if rows:
            self.lacks_leader = bool(rows[0][0])
        return bool(rows)

    @property
    def _stored(self) -> object:
        return stored_uuid(self.connection.vendor, self.owner)
