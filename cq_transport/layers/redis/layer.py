"""``RedisChannelLayer`` as a message broker: its keys, popped and filled atomically."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from time import monotonic
from typing import Any

import msgpack
from channels_redis.core import RedisChannelLayer

from cq_transport.envelope import Envelope, pack, unpack
from cq_transport.errors import UndecodableMessage
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.redis.host import Host
from cq_transport.layers.redis.keys import Keys
from cq_transport.layers.redis.reader import HostReader
from cq_transport.layers.redis.readers import RedisReader
from cq_transport.layers.redis.scripts import LEASE, POP, ROUTE, SEND
from cq_transport.naming import channel_name
from cq_transport.options import Options
from cq_transport.topology import Binding, Queue, Topology


class RedisTaskLayer:
    """One namespace on a ``RedisChannelLayer``, for one process.

    Args:
        layer: the project's channel layer; its hosts, prefix, serializer, capacities and expiry
            apply. namespace: the part of the broker URL behind the alias. options: the transport
            options.
    """

    def __init__(self, layer: RedisChannelLayer, namespace: str, options: Options) -> None:
        self.topology = Topology()
        self._layer = layer
        self._options = options
        self._namespace = namespace
        self._keys = Keys(layer.prefix, namespace)
        self._hosts = [Host(host, self._keys, options) for host in layer.hosts]
        self._expiry = max(1, int(layer.expiry))
        self._capacities: dict[str, int] = {}
        self._getter = uuid.uuid4().hex
        self._gets = itertools.count(1)

    # Reaching the layer

    @property
    def description(self) -> str:
        """What the layer is, in a few words without passwords."""
        return f"{type(self._layer).__name__} on {len(self._hosts)} Redis host(s)"

    def connect(self) -> None:
        """Reach every host; raises ``LayerUnreachable`` if one does not answer."""
        for host in self._hosts:
            host.call("PING")

    def epoch(self) -> str:
        """Return the hosts' run ids and markers: a restart, a failover and a flush change them."""
        return " ".join(host.epoch(self._keys.epoch) for host in self._hosts)

    def flush(self, timeout: float) -> None:
        """Wait until every message sent was accepted; raises ``LayerUnreachable`` after ``timeout``
        seconds.
        """
        deadline = monotonic() + timeout
        for host in self._hosts:
            host.publisher.flush(deadline)

    def close(self) -> None:
        """Close all connections; what is not accepted is given up."""
        for host in self._hosts:
            host.pipe.close()

    # Topology

    def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Make an exchange known to every process."""
        self.topology.exchanges[name] = exchange_type
        self._home(name).call("HSET", self._keys.exchanges, name, exchange_type)

    def exchange_type(self, name: str) -> str | None:
        """Return the type of an exchange, or ``None`` if nobody declared it."""
        known = self.topology.exchanges.get(name)
        if known is None:
            found = self._home(name).call("HGET", self._keys.exchanges, name)
            if found is not None:
                known = self.topology.exchanges[name] = found.decode()
        return known

    def has_exchange(self, name: str) -> bool:
        """Tell whether an exchange was declared by any process."""
        return bool(self._home(name).call("HEXISTS", self._keys.exchanges, name))

    def delete_exchange(self, name: str) -> None:
        """Remove an exchange and its bindings."""
        self.topology.exchanges.pop(name, None)
        for binding in [found for found in self.topology.bindings() if found.exchange == name]:
            self.topology.unbind(binding)
        self._home(name).call_all(
            [("HDEL", self._keys.exchanges, name), ("DEL", self._keys.bindings(name))]
        )

    def declare_queue(self, queue: Queue) -> None:
        """Make a queue known to every process."""
        self.topology.queues[queue.name] = queue
        self._home(queue.name).call(*self._lease(self._keys.queues, queue, queue.name))

    def has_queue(self, name: str) -> bool:
        """Tell whether a queue was declared by any process and has not ended."""
        end, now = self._home(name).call_all([("ZSCORE", self._keys.queues, name), ("TIME",)])
        return end is not None and float(end) >= int(now[0])

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its bindings and its messages."""
        for binding in self.topology.bindings_of(name):
            self.unbind(binding)
        self.topology.forget(name)
        self._home(name).call("ZREM", self._keys.queues, name)
        for host in self._hosts:
            host.call("DEL", *self._channels(name), self._keys.bell(name))

    def bind(self, binding: Binding) -> None:
        """Add a binding that every process sees."""
        self.topology.bind(binding)
        self._home(binding.exchange).call(*self._binding_command(binding))

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""
        self.topology.unbind(binding)
        self._home(binding.exchange).call(
            "ZREM", self._keys.bindings(binding.exchange), self._packed_binding(binding)
        )

    def renew(self, queues: Iterable[str]) -> None:
        """Write queues and bindings again: their leases go on, and a flushed server knows them
        anew.
        """
        for name in queues:
            queue = self.topology.queue(name)
            self._home(name).call(*self._lease(self._keys.queues, queue, name))
            for binding in self.topology.bindings_of(name):
                kind = self.topology.exchanges.get(binding.exchange, "direct")
                self._home(binding.exchange).call_all(
                    [
                        self._binding_command(binding),
                        ("HSET", self._keys.exchanges, binding.exchange, kind),
                    ]
                )

    # Messages

    def size(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        commands = [("ZCARD", channel) for channel in self._channels(queue)]
        return sum(sum(host.call_all(list(commands))) for host in self._hosts)

    def purge(self, queue: str) -> int:
        """Remove the waiting messages of a queue and return how many there were."""
        channels = self._channels(queue)
        commands = [("ZREMRANGEBYRANK", channel, 0, -1) for channel in channels]
        return sum(sum(host.call_all(list(commands))) for host in self._hosts)

    def send(self, queue: str, priority: int, envelope: Envelope) -> None:
        """Put a message into a queue, on its home host: there the messages keep their order."""
        key = self._keys.channel(queue, priority)
        message = pack(envelope, self._layer.serialize)
        self._home(queue).publisher.publish(
            key, SEND, key, self._expiry, self._capacity(queue), message, self._keys.bell(queue)
        )

    def route(
        self,
        exchange: str,
        routing_key: str,
        priority: int,
        envelope: Envelope,
        *,
        best_effort: bool = False,
    ) -> None:
        """Put a message into every queue that an exchange leads to, on the host of its bindings."""
        dead_letters = self._options.deadletter_queue
        publisher = self._home(exchange).publisher
        publish = publisher.offer if best_effort else publisher.publish
        publish(
            exchange,
            ROUTE,
            self._keys.bindings(exchange),
            self._expiry,
            self._options.transient_capacity,
            self._keys.prefix,
            f"_p{priority}" if priority else "",
            self.exchange_type(exchange) or "direct",
            routing_key,
            self._keys.channel(dead_letters, priority) if dead_letters else "",
            pack(envelope, self._layer.serialize),
        )

    def get(self, queue: str) -> Delivery | None:
        """Take one message, without waiting."""
        channels = [self._keys.channel(queue, priority) for priority in self._options.priorities]
        for host in self._hosts:
            found = self._pop_one(host, channels)
            if found is not None:
                now, index, content, score = found
                age = now - float(score)
                return Delivery(queue, self._options.priorities[index], content, (host, score), age)
        return None

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
        host, score = delivery.place
        key = self._keys.channel(delivery.queue, delivery.priority)
        host.publisher.restore(key, self._expiry, score, content, self._keys.bell(delivery.queue))

    def reader(self, consumer: Consumer, watcher: Watcher) -> RedisReader:
        """Return a reader for one consumer, with connections of its own."""
        return RedisReader(
            consumer,
            watcher,
            [
                HostReader(host, self._keys, self._options.priorities, consumer, watcher)
                for host in self._hosts
            ],
        )

    # Helpers

    def _home(self, name: str) -> Host:
        # A queue's messages, or an exchange's bindings with the copies that they lead to, lie on
        # one host. Readers read all hosts: a stock send() takes them in turn.
        index: int = self._layer.consistent_hash(name)
        return self._hosts[index]

    def _channels(self, queue: str) -> list[str]:
        return [self._keys.channel(queue, priority) for priority in self._options.priorities]

    def _capacity(self, queue: str) -> int:
        capacity = self._capacities.get(queue)
        if capacity is None:
            name = channel_name(self._namespace, queue)
            capacity = self._capacities[queue] = self._layer.get_capacity(name)
        return capacity

    def _lease(self, key: str, queue: Queue, member: str | bytes) -> tuple[Any, ...]:
        return ("EVALSHA", LEASE.sha, 1, key, queue.lease, member)

    def _packed_binding(self, binding: Binding) -> bytes:
        queue = self.topology.queue(binding.queue)
        channel = channel_name(self._namespace, binding.queue)
        packed: bytes = msgpack.packb(
            [binding.routing_key, channel, self._capacity(binding.queue), queue.lease]
        )
        return packed

    def _binding_command(self, binding: Binding) -> tuple[Any, ...]:
        queue = self.topology.queue(binding.queue)
        return self._lease(
            self._keys.bindings(binding.exchange), queue, self._packed_binding(binding)
        )

    def _pop_one(self, host: Host, channels: list[str]) -> tuple[float, int, bytes, Any] | None:
        batch = self._keys.batch(self._getter)
        now, *found = host.call(
            "EVALSHA", POP.sha, len(channels) + 1, batch, *channels, next(self._gets), 1, 60
        )
        if not found:
            return None
        index, content, score = found[0]
        return float(now), index - 1, content, score
