"""Decides which keeper leads."""

from __future__ import annotations

from time import monotonic
from typing import Any

from cq_compat.database import OwnConnection
from cq_compat.dialects import dialect_of, stored_uuid
from cq_compat.lease import Lease

#: Seconds for which a leader that is not heard of leads.
TERM = 6.0
#: Seconds between two looks whether the renewal of the lease has found no leader.
LOOK = 1.0


class Leadership:
    """The lead among the keepers of one broker, a lease like a worker's."""

    def __init__(self, lease: Lease, connection: OwnConnection) -> None:
        self._lease = lease
        self._connection = connection
        self._leads_until = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this keeper leads."""
        return monotonic() < self._leads_until

    @property
    def interval(self) -> float:
        """Seconds until the lead is to be renewed, or to be looked for."""
        return TERM / 2 if self.is_held else LOOK

    def run_once(self) -> bool:
        """Keep the lead, or take it if nobody has it."""
        now = monotonic()
        if self._leads_until or self._lease.lacks_leader:
            taken = self._take() or (self._introduce() and self._take())
            self._leads_until = now + TERM if taken else 0.0
            self._lease.lacks_leader = False  # until the next renewal says so
        return False

    def resign(self) -> None:
        """Let another keeper lead at once."""
        if self.is_held:
            self._leads_until = 0.0
            self._connection.execute(
                "UPDATE cq_layer SET leads_until = NULL WHERE broker = %s AND leader = %s",
                [self._lease.broker, self._me],
            )

    @property
    def _me(self) -> Any:
        return stored_uuid(self._connection.vendor, self._lease.owner)

    def _take(self) -> bool:
        dialect = dialect_of(self._connection.vendor)
        taken = self._connection.execute(
            f"UPDATE cq_layer SET leader = %s, leads_until = {dialect.later} WHERE broker = %s "
            f"AND (leader = %s OR leads_until IS NULL OR leads_until < {dialect.now})",
            [self._me, TERM, self._lease.broker, self._me],
        )
        return taken == 1

    def _introduce(self) -> bool:
        known = self._connection.fetch(
            "SELECT 1 FROM cq_layer WHERE broker = %s", [self._lease.broker]
        )
        if known:
            return False
        ignore = dialect_of(self._connection.vendor).ignore.format(key="broker")
        self._connection.execute(
            f"INSERT INTO cq_layer (broker, epoch) VALUES (%s, '') {ignore}", [self._lease.broker]
        )
        return True
