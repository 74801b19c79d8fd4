"""Messages of one channel that this process holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

#: Numbers messages in the order in which this process took them from their layers.
numbers = count(1)


@dataclass(order=True)
class Held:
    """A message and its place: lower numbers were taken earlier."""

    number: int
    priority: int = field(compare=False)
    message: Any = field(compare=False)


class Store:
    """Gives out the most urgent message first, and the earliest of those."""

    def __init__(self) -> None:
        self._by_priority: dict[int, list[Held]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_priority.values()))

    def put(self, held: Held) -> None:
        """Put a message in its place."""
        heappush(self._by_priority.setdefault(held.priority, []), held)

    def take(self, priorities: Sequence[int]) -> Held | None:
        """Take the first message in the order of ``priorities``."""
        for priority in priorities:
            if self._by_priority.get(priority):
                return heappop(self._by_priority[priority])
        return None

    def take_oldest(self) -> Held | None:
        """Take the message that came first."""
        heaps = [heap for heap in self._by_priority.values() if heap]
        return heappop(min(heaps, key=lambda heap: heap[0])) if heaps else None
