"""Renews the worker's lease."""

from __future__ import annotations

from cq_compat.lease import Lease


class Heartbeat:
    """Says that the worker is alive."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return self._lease.interval

    def run_once(self) -> bool:
        """Renew the lease."""
        self._lease.renew()
        return False
