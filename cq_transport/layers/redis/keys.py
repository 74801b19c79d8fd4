"""The keys under which a namespace lives in Redis.

Messages lie where ``RedisChannelLayer`` looks for them: prefix and channel name. What the transport
adds has a colon behind the prefix, which no channel name can hold, so that ``layer.flush()``
removes it too.
"""

from __future__ import annotations

from cq_transport.naming import channel_name, namespace_name


class Keys:
    """Key names of one namespace of one layer."""

    def __init__(self, prefix: str, namespace: str) -> None:
        self.prefix = prefix
        self.namespace = namespace
        self._own = f"{prefix}:cq:{namespace_name(namespace)}"
        #: Sorted set of the queues, by the time at which their leases end.
        self.queues = f"{self._own}:queues"
        #: Hash of the exchanges' types.
        self.exchanges = f"{self._own}:exchanges"
        #: A marker that a flush takes away.
        self.epoch = f"{self._own}:epoch"

    def channel(self, queue: str, priority: int = 0) -> str:
        """Sorted set of the messages of a queue with one priority."""
        return self.prefix + channel_name(self.namespace, queue, priority)

    def bell(self, queue: str) -> str:
        """Sorted set by which readers that wait for a queue are woken."""
        return f"{self.channel(queue)}:bell"

    def bindings(self, exchange: str) -> str:
        """Sorted set of the bindings of an exchange, by the time at which their leases end."""
        return f"{self._own}:bindings:{exchange}"

    def publisher(self, publisher: str) -> str:
        """What was accepted of a publisher: bitmaps, of which a page number makes the key whole."""
        return f"{self._own}:publisher:{publisher}"

    def batch(self, reader: str) -> str:
        """The last batch that a reader was given."""
        return f"{self._own}:batch:{reader}"

    def wake(self, reader: str) -> str:
        """Sorted set by which a waiting reader is woken."""
        return f"{self._own}:wake:{reader}"
