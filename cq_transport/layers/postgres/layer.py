"""``PostgresChannelLayer`` as a message broker: its tables, read and written synchronously.

Through its public calls that layer cannot serve competing workers: one process at a time gets the
messages of a channel, and whoever begins to listen takes all messages of all channels into its own
memory. So tasks need tables of their own, apart from those of consumers that use the stock calls.

The layer has no capacity, and so there is none here.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable

from channels_postgres.core import PostgresChannelLayer  # type: ignore[import-untyped]

from cq_transport.envelope import Envelope, pack, unpack
from cq_transport.errors import UndecodableMessage
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.postgres.client import PATIENCE, Client
from cq_transport.layers.postgres.facts import Fact, Found, from_rows, to_rows
from cq_transport.layers.postgres.link import Link, Request
from cq_transport.layers.postgres.names import Names
from cq_transport.layers.postgres.reader import PostgresReader
from cq_transport.layers.postgres.rows import fact_rows, integers
from cq_transport.layers.postgres.statements import (
    DROP_FACT,
    DROP_FACTS,
    FACTS,
    FOR_EVER,
    NOTIFICATIONS,
    PROBE,
    PURGE,
    PUT,
    RESTORE,
    SET_FACT,
    SIZE,
    TRIM,
)
from cq_transport.options import Options
from cq_transport.topology import Binding, Queue, Topology, matches

#: A transient queue may hold this share of its capacity more before its oldest messages go.
SURPLUS = 0.01

# The first words of the facts about exchanges and queues.
TYPE, BINDING, QUEUE = "type", "binding", "queue"


class PostgresTaskLayer:
    """One namespace on a ``PostgresChannelLayer``, for one process.

    Args:
        layer: the project's channel layer; its database, encryption and expiry apply.
        namespace: the part of the broker URL behind the alias.
        options: the transport options.
    """

    def __init__(self, layer: PostgresChannelLayer, namespace: str, options: Options) -> None:
        self.topology = Topology()
        self._layer = layer
        self._options = options
        self._names = Names(namespace, options.priorities)
        self._client = Client(layer.db_params, options.publish_timeout)
        self._expiry = float(layer.expiry)
        self._trim_every = max(1, int(options.transient_capacity * SURPLUS))
        self._puts: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))

    # Reaching the layer

    @property
    def description(self) -> str:
        """What the layer is, in a few words without passwords."""
        return f"{type(self._layer).__name__} on database {self._layer.db_params.get('dbname')!r}"

    def connect(self) -> None:
        """Reach the database; raises ``LayerUnreachable`` if it does not answer and
        ``LayerMisconfigured`` if the layer's tables are missing.
        """
        self._client.ask(PROBE)

    def epoch(self) -> None:
        """Return nothing: the database keeps what it has accepted."""

    def flush(self, timeout: float) -> None:
        """Return at once: every message that was sent has been answered for."""

    def close(self) -> None:
        """Close the connection that publishes."""
        self._client.close()

    # Topology

    def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Make an exchange known to every process."""
        self.topology.exchanges[name] = exchange_type
        self._client.ask_all([self._exchange_fact(name)])

    def exchange_type(self, name: str) -> str | None:
        """Return the type of an exchange, or ``None`` if nobody declared it."""
        known = self.topology.exchanges.get(name)
        return known if known is not None else _type_in(self._facts_of(name))

    def has_exchange(self, name: str) -> bool:
        """Tell whether an exchange was declared by any process."""
        return _type_in(self._facts_of(name)) is not None

    def delete_exchange(self, name: str) -> None:
        """Remove an exchange and its bindings."""
        self.topology.exchanges.pop(name, None)
        for binding in [found for found in self.topology.bindings() if found.exchange == name]:
            self.topology.unbind(binding)
        self._client.ask(DROP_FACTS, self._names.exchange_key(name))

    def declare_queue(self, queue: Queue) -> None:
        """Make a queue known to every process."""
        self.topology.queues[queue.name] = queue
        self._client.ask_all([self._queue_fact(queue.name)])

    def has_queue(self, name: str) -> bool:
        """Tell whether a queue was declared by any process and has not ended."""
        rows = fact_rows(self._client.ask(FACTS, self._names.queue_key(name)))
        return any(found.fact == (QUEUE, name) for found in from_rows(rows))

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its bindings and its messages."""
        for binding in self.topology.bindings_of(name):
            self.unbind(binding)
        self.topology.forget(name)
        self._client.ask(DROP_FACTS, self._names.queue_key(name))
        self._client.ask(PURGE, self._names.channels(name), timeout=PATIENCE)

    def bind(self, binding: Binding) -> None:
        """Add a binding that every process sees."""
        self.topology.bind(binding)
        self._client.ask_all([self._binding_fact(binding)])

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""
        self.topology.unbind(binding)
        rows = to_rows((BINDING, binding.routing_key, binding.queue))
        self._client.ask(DROP_FACT, self._names.exchange_key(binding.exchange), rows)

    def renew(self, queues: Iterable[str]) -> None:
        """Write queues and bindings again: their leases go on, flushed tables know them anew."""
        requests = []
        for name in queues:
            requests.append(self._queue_fact(name))
            for binding in self.topology.bindings_of(name):
                requests += [self._exchange_fact(binding.exchange), self._binding_fact(binding)]
        if requests:
            self._client.ask_all(requests)

    # Messages

    def size(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        answer = self._client.ask(SIZE, self._names.channels(queue), timeout=PATIENCE)
        return integers(answer)[0]

    def purge(self, queue: str) -> int:
        """Remove the waiting messages of a queue and return how many there were."""
        answer = self._client.ask(PURGE, self._names.channels(queue), timeout=PATIENCE)
        return answer.command_tuples or 0

    def send(self, queue: str, priority: int, envelope: Envelope) -> None:
        """Put a message into a queue."""
        self._put([queue], priority, envelope)

    def route(
        self,
        exchange: str,
        routing_key: str,
        priority: int,
        envelope: Envelope,
        *,
        best_effort: bool = False,
    ) -> None:
        """Put a message into every queue that an exchange leads to."""
        facts = self._facts_of(exchange)
        kind = self.topology.exchanges.get(exchange) or _type_in(facts) or "direct"
        leased: dict[str, bool] = {}
        for fact, is_leased in facts:
            if fact[0] == BINDING and matches(kind, fact[1], routing_key):
                leased[fact[2]] = is_leased
        if not leased and self._options.deadletter_queue:
            leased[self._options.deadletter_queue] = False
        if leased:
            self._put(list(leased), priority, envelope)
        for queue, is_leased in leased.items():
            if is_leased:
                self._trim(self._names.channel(queue, priority))

    def get(self, queue: str) -> Delivery | None:
        """Take one message, without waiting."""
        sources = self._names.sources([queue])
        found = self._client.take(list(sources))
        if found is None:
            return None
        _, priority = sources[found.channel]
        age = self._expiry - found.remaining
        return Delivery(queue, priority, found.content, (found.id, found.expire), age)

    def decode(self, delivery: Delivery) -> Envelope:
        """Read the message of a delivery; raises ``UndecodableMessage``."""
        try:
            message = self._layer.deserialize(delivery.content)
        except Exception as exc:  # whatever the serializer raises on foreign or expired bytes
            raise UndecodableMessage(f"{type(exc).__name__}: {exc}") from exc
        return unpack(message)

    def restore(self, delivery: Delivery, envelope: Envelope | None = None) -> None:
        """Put a message back in its place, changed to ``envelope`` if one is given."""
        content = delivery.content
        if envelope is not None:
            content = pack(envelope, self._layer.serialize)
        message_id, expire = delivery.place
        channel = self._names.channel(delivery.queue, delivery.priority)
        self._client.do_once(RESTORE, message_id, channel, content, expire)

    def reader(self, consumer: Consumer, watcher: Watcher) -> PostgresReader:
        """Return a reader for one consumer, with a connection of its own."""
        link = Link(
            self._layer.db_params, self._options.publish_timeout, [f"LISTEN {NOTIFICATIONS}"]
        )
        return PostgresReader(link, self._names, self._expiry, consumer, watcher)

    # Helpers

    def _put(self, queues: list[str], priority: int, envelope: Envelope) -> None:
        channels = [self._names.channel(queue, priority) for queue in queues]
        self._client.do_once(PUT, channels, pack(envelope, self._layer.serialize), self._expiry)

    def _trim(self, channel: str) -> None:
        if next(self._puts[channel]) % self._trim_every == 0:
            self._client.ask(TRIM, channel, self._options.transient_capacity)

    def _facts_of(self, exchange: str) -> list[Found]:
        answer = self._client.ask(FACTS, self._names.exchange_key(exchange))
        return list(from_rows(fact_rows(answer)))

    def _exchange_fact(self, name: str) -> Request:
        kind = self.topology.exchanges.get(name, "direct")
        return _set(self._names.exchange_key(name), (TYPE, kind), FOR_EVER)

    def _queue_fact(self, name: str) -> Request:
        lease = self.topology.queue(name).lease or FOR_EVER
        return _set(self._names.queue_key(name), (QUEUE, name), lease)

    def _binding_fact(self, binding: Binding) -> Request:
        lease = self.topology.queue(binding.queue).lease or FOR_EVER
        fact = (BINDING, binding.routing_key, binding.queue)
        return _set(self._names.exchange_key(binding.exchange), fact, lease)


def _set(key: str, fact: Fact, lease: float) -> Request:
    return Request(SET_FACT, (key, to_rows(fact), lease))


def _type_in(facts: Iterable[Found]) -> str | None:
    types = [found.fact[1] for found in facts if found.fact[0] == TYPE]
    return types[-1] if types else None
