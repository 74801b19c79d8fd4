"""The thread that writes what was seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from cq_compat.batching import BatchWriter
from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import Duty
from cq_compat.mirror.observing import ObservingMirror
from cq_compat.sightings import Sighting, fold

#: Weight of the sightings that wait; further ones are dropped.
LIMIT = 50_000


class Rows(Protocol):
    """Where sightings are written."""

    def observe(self, seen: Sequence[Sighting]) -> None:
        """Write them, one of each task, in the order of their ids."""


class Seen:
    """Sightings that wait, first come first served."""

    def __init__(self) -> None:
        self._waiting: deque[Sighting] = deque()
        self._weight = 0

    def put(self, item: Sighting) -> int:
        """Take a sighting unless too many wait; return how many were not taken."""
        if self._weight >= LIMIT:
            return 1
        self._weight += item.weight
        self._waiting.append(item)
        return 0

    def take(self, most: int) -> list[Sighting]:
        """Give the first ones away."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def done(self, items: Sequence[Sighting]) -> None:
        """Let others have their room."""
        self._weight -= sum(seen.weight for seen in items)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)


class Writer(BatchWriter[Sighting]):
    """Writes sightings: of many, those of a task become one write.

    Args:
        connection: where a writer without ``rows`` writes.
    """

    name = "cq-observer"
    topic = "what was seen of tasks"

    def __init__(self, connection: OwnConnection, rows: Rows | None = None) -> None:
        self._given = rows
        super().__init__(connection)

    def reset_after_fork(self) -> None:
        """Begin empty in a child, and without a duty."""
        super().reset_after_fork()
        self._rows = self._given
        self._duty: Duty | None = None
        self._next_duty = 0.0

    def look_after(self, duty: Duty | None) -> None:
        """Do a duty beside the writing, from now on; ``None`` ends the one before."""
        with self._changed:
            self._duty, self._next_duty = duty, 0.0
            if duty is not None:
                self._start()
                self._changed.notify_all()

    def _empty(self) -> Seen:
        return Seen()

    def _condense(self, batch: list[Sighting]) -> list[Sighting]:
        return fold(batch)

    def _write(self, items: list[Sighting]) -> None:
        if self._rows is None:
            self._rows = ObservingMirror(self._connection)
        self._rows.observe(items)

    def _pause(self) -> float | None:
        return None if self._duty is None else max(0.0, self._next_duty - monotonic())

    def _beside(self) -> None:
        duty = self._duty
        if duty is not None and monotonic() >= self._next_duty:
            duty.run_once()
            self._next_duty = monotonic() + duty.interval
