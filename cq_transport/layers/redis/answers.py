"""What Redis answers to a reader, as deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cq_transport.layers.base import Delivery
from cq_transport.layers.redis.host import Host
from cq_transport.layers.redis.questions import Source


def popped(answer: list[Any], channels: Sequence[Source], host: Host) -> list[Delivery]:
    """Read the answer of ``POP``, which ``host`` was asked for these channels in this order."""
    now, *batches = answer
    return [
        _delivery(channels[index - 1], content, score, host, float(now))
        for index, *found in batches
        for content, score in zip(found[::2], found[1::2], strict=True)
    ]


def _delivery(source: Source, content: bytes, score: Any, host: Host, now: float) -> Delivery:
    age = now - float(score)
    return Delivery(source.queue, source.priority, content, place=(host, score), age=age)
