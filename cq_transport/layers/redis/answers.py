"""What Redis answers to a reader, as deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

from cq_transport.layers.base import Delivery
from cq_transport.layers.redis.host import Host


class Source(NamedTuple):
    """A channel that is read."""

    queue: str
    priority: int
    key: str


class Answers:
    """Reads the answers of one host.

    Args:
        host: where the messages go back to if need be.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clock_offset: float | None = None
        #: The channels that the request under way asks for, in its order.
        self.channels: Sequence[Source] = ()

    def popped(self, answer: list[Any]) -> list[Delivery]:
        """Read the answer of ``POP``."""
        now, *batches = answer
        self._clock_offset = float(now) - monotonic()
        return [
            self._delivery(self.channels[index - 1], content, score)
            for index, *found in batches
            for content, score in zip(found[::2], found[1::2], strict=True)
        ]

    def waited(self, answer: list[Any] | None) -> list[Delivery]:
        """Read the answer of ``BZPOPMIN``; a wake-up, or the end of the wait, brings nothing."""
        if not answer:
            return []
        key, content, score = answer
        found = [source for source in self.channels if source.key.encode() == key]
        return [self._delivery(source, content, score) for source in found[:1]]

    def _delivery(self, source: Source, content: bytes, score: Any) -> Delivery:
        age = 0.0
        if self._clock_offset is not None:
            age = monotonic() + self._clock_offset - float(score)
        place = (self._host, score)
        return Delivery(source.queue, source.priority, content, place=place, age=age)
