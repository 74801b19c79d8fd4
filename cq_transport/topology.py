"""Exchanges, queues and bindings that this process has declared, and the rules by which messages
are routed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

EXCHANGE_TYPES = ("direct", "topic", "fanout")
#: Seconds that a transient queue without a declared expiry lives on after its last consumer.
DEFAULT_LEASE = 60.0


@dataclass(frozen=True)
class Queue:
    """A declared queue.

    Args:
        lease: seconds for which a transient queue outlives its consumer; 0 for a queue that stays.
        auto_delete: whether the queue ends with its last consumer.
        message_ttl: seconds after which a message in it is dead, or ``None``.
        dead_letter_exchange: exchange for rejected and dead messages, or ``None``.
        dead_letter_routing_key: their routing key; ``None`` keeps the message's own.
    """

    name: str
    lease: float = 0.0
    auto_delete: bool = False
    message_ttl: float | None = None
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None

    @classmethod
    def declared(
        cls,
        name: str,
        *,
        auto_delete: bool,
        arguments: dict[str, Any] | None,
        lease: float = DEFAULT_LEASE,
    ) -> Queue:
        """Read the arguments of a queue declaration; ``x-expires`` and ``x-message-ttl`` are
        milliseconds, and ``lease``, in seconds, is the shortest that a transient queue gets.
        """
        arguments = arguments or {}
        expires, ttl = arguments.get("x-expires"), arguments.get("x-message-ttl")
        lease = max(lease, (expires or 0) / 1000)
        return cls(
            name,
            lease=lease if auto_delete or expires else 0.0,
            auto_delete=auto_delete,
            message_ttl=None if ttl is None else ttl / 1000,
            dead_letter_exchange=arguments.get("x-dead-letter-exchange"),
            dead_letter_routing_key=arguments.get("x-dead-letter-routing-key"),
        )

    @property
    def is_transient(self) -> bool:
        """Whether the queue ends with its consumers: then the oldest messages make room in a full
        one.
        """
        return self.lease > 0


class Binding(NamedTuple):
    """Messages for ``exchange`` whose key matches ``routing_key`` reach ``queue``."""

    exchange: str
    routing_key: str
    queue: str


class Topology:
    """The declarations made through one layer by this process."""

    def __init__(self) -> None:
        self.exchanges: dict[str, str] = {}
        self.queues: dict[str, Queue] = {}
        #: Queues that the layer is to know as soon as it is needed, and not before.
        self.deferred: set[str] = set()
        self._by_queue: defaultdict[str, set[Binding]] = defaultdict(set)

    def queue(self, name: str) -> Queue:
        """Return the queue as declared, or a plain one of that name."""
        return self.queues.get(name) or Queue(name)

    def bind(self, binding: Binding) -> None:
        """Remember a binding."""
        self._by_queue[binding.queue].add(binding)

    def unbind(self, binding: Binding) -> None:
        """Forget a binding."""
        self._by_queue[binding.queue].discard(binding)

    def bindings_of(self, queue: str) -> frozenset[Binding]:
        """Return the bindings of one queue."""
        return frozenset(self._by_queue.get(queue, ()))

    def bindings(self) -> Iterator[Binding]:
        """Yield every binding."""
        for found in list(self._by_queue.values()):
            yield from list(found)

    def forget(self, queue: str) -> None:
        """Forget a queue and its bindings."""
        self.queues.pop(queue, None)
        self.deferred.discard(queue)
        self._by_queue.pop(queue, None)


def matches(exchange_type: str, pattern: str, routing_key: str) -> bool:
    """Tell whether a message with ``routing_key`` goes to a binding with ``pattern``.

    In the pattern of a topic exchange ``*`` stands for exactly one word and ``#`` for zero or more.
    """
    if exchange_type == "fanout":
        return True
    if exchange_type == "topic":
        return _topic(pattern).fullmatch(f"{routing_key}.") is not None
    return pattern == routing_key


@lru_cache(maxsize=1024)
def _topic(pattern: str) -> re.Pattern[str]:
    # Each word is matched with the dot that follows it, so that "#" can stand for no word at all.
    words = {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}
    body = "".join(words.get(word) or re.escape(word) + r"\." for word in pattern.split("."))
    return re.compile(body)
