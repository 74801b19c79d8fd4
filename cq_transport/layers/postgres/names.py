"""The channels and keys under which a namespace lives in the layer's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cq_transport.naming import channel_name, group_name


class Names:
    """Channels and keys of one namespace.

    Args:
        namespace: the part of the broker URL behind the alias.
        priorities: all priorities, most urgent first.
    """

    def __init__(self, namespace: str, priorities: Sequence[int]) -> None:
        self._namespace = namespace
        self._priorities = priorities

    def channel(self, queue: str, priority: int = 0) -> str:
        """Return the channel of a queue's messages with one priority."""
        return channel_name(self._namespace, queue, priority)

    def channels(self, queue: str) -> list[str]:
        """Return all channels of a queue, most urgent first."""
        return list(self.sources([queue]))

    def sources(self, queues: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Return the channels of some queues, most urgent first, with queue and priority."""
        found = list(queues)
        return {
            self.channel(queue, priority): (queue, priority)
            for priority in self._priorities
            for queue in found
        }

    def queue_key(self, queue: str) -> str:
        """Return the key of the facts about a queue."""
        return self.channel(queue)

    def exchange_key(self, exchange: str) -> str:
        """Return the key of the facts about an exchange; no queue has the same."""
        return group_name(self._namespace, exchange)
