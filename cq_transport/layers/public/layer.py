"""Any channel layer as a message broker, through the calls that Channels promises."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from itertools import chain
from typing import Any, TypeVar

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from cq_transport.envelope import Envelope, unpack
from cq_transport.errors import LayerFull, LayerUnreachable, TransportError, UndecodableMessage
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.public.bridge import bridge
from cq_transport.layers.public.reader import PublicReader
from cq_transport.layers.public.stamps import age_of, fresh, kept, priority_of, routed_by, stamped
from cq_transport.layers.public.store import Held, numbers
from cq_transport.layers.public.taps import taps_of
from cq_transport.naming import channel_name, group_name
from cq_transport.options import Options
from cq_transport.topology import Binding, Queue, Topology, matches

T = TypeVar("T")


class PublicTaskLayer:
    """One namespace on a channel layer, for one process.

    Args:
        layer: the project's channel layer.
        namespace: the part of the broker URL behind the alias.
        options: the transport options.
    """

    def __init__(self, layer: BaseChannelLayer, namespace: str, options: Options) -> None:
        self.topology = Topology()
        self._name = type(layer).__name__
        self._namespace = namespace
        self._options = options
        self._taps = taps_of(layer)

    @property
    def description(self) -> str:
        """What the layer is, in a few words without passwords."""
        return f"{self._name} through its public interface"

    def connect(self) -> None:
        """Ask the layer for something harmless; raises ``LayerUnreachable`` without an answer."""
        self._run(self._taps.probe(group_name(self._namespace, "cq.probe")))

    def flush(self, timeout: float) -> None:
        """Every call has waited for the layer already."""

    # Topology

    def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Make an exchange known to this process."""
        self.topology.exchanges[name] = exchange_type

    def exchange_type(self, name: str) -> str | None:
        """Return the type of an exchange, or ``None`` if this process has not declared it."""
        return self.topology.exchanges.get(name)

    def has_exchange(self, name: str) -> bool:
        """Tell whether this process has declared an exchange."""
        return name in self.topology.exchanges

    def delete_exchange(self, name: str) -> None:
        """Remove an exchange and the bindings that this process has made."""
        self.topology.exchanges.pop(name, None)
        for binding in [found for found in self.topology.bindings() if found.exchange == name]:
            self.unbind(binding)

    def declare_queue(self, queue: Queue) -> None:
        """Make a queue known to this process."""
        self.topology.queues[queue.name] = queue

    def has_queue(self, name: str) -> bool:
        """Tell whether this process has declared a queue."""
        return name in self.topology.queues

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its bindings and its messages."""
        for binding in self.topology.bindings_of(name):
            self.unbind(binding)
        self.topology.forget(name)
        self._run(self._taps.drop(self._channel(name)))

    def bind(self, binding: Binding) -> None:
        """Add a binding: the queue's channel joins the group of the exchange."""
        self.topology.bind(binding)
        self._join(binding)

    def unbind(self, binding: Binding) -> None:
        """Remove a binding; the queue leaves a group when none of its bindings needs it."""
        self.topology.unbind(binding)
        group = self._group(binding)
        if any(self._group(found) == group for found in self.topology.bindings_of(binding.queue)):
            return
        if not self._taps.is_local:
            self._run(self._taps.layer.group_discard(group, self._channel(binding.queue)))

    def renew(self, queues: Iterable[str]) -> None:
        """Join the groups again: their memberships lapse."""
        for binding in chain.from_iterable(map(self.topology.bindings_of, queues)):
            self._join(binding)

    # Messages

    def size(self, queue: str) -> int:
        """Return how many messages wait in a queue, where the layer lets us see that."""
        return self._run(self._taps.size(self._channel(queue)))

    def purge(self, queue: str) -> int:
        """Remove the waiting messages of a queue and return how many there were."""
        return self._run(self._taps.purge(self._channel(queue)))

    def send(self, queue: str, priority: int, envelope: Envelope) -> None:
        """Put a message into a queue."""
        self._put([queue], stamped(envelope, fresh(priority)))

    def route(self, exchange: str, routing_key: str, priority: int, envelope: Envelope) -> None:
        """Put a message into every queue that ``exchange`` leads to.

        The bindings of a direct exchange that this process knows are followed here; for all others
        the message goes to a group, and the readers of a topic drop what they have not asked for.
        """
        kind = self.exchange_type(exchange) or "direct"
        queues = self._known_targets(exchange, kind, routing_key)
        if self._taps.is_local or (kind == "direct" and queues):
            dead_letters = self._options.deadletter_queue
            if not queues and dead_letters:
                queues = [dead_letters]
            self._put(queues, stamped(envelope, fresh(priority)))
            return
        routed = (exchange, routing_key) if kind == "topic" else None
        group = group_name(self._namespace, exchange, routing_key if kind == "direct" else None)
        self._run(self._taps.put_group(group, stamped(envelope, fresh(priority, routed))))

    def get(self, queue: str) -> Delivery | None:
        """Take one message, without waiting longer than it takes to see that there is none."""
        while True:
            held = self._run(self._taps.take(self._channel(queue), self._options.priorities))
            if held is None:
                return None
            delivery = self._delivery(queue, held)
            if self._concerns(delivery):
                return delivery

    def decode(self, delivery: Delivery) -> Envelope:
        """Read the message of a delivery; raises ``UndecodableMessage``."""
        if not isinstance(delivery.content, dict):
            raise UndecodableMessage("a layer message that is no mapping")
        delivery.age = age_of(delivery.content)
        return unpack(dict(delivery.content))

    def restore(self, delivery: Delivery, envelope: Envelope | None = None) -> None:
        """Put a message back, changed to ``envelope`` if one is given."""
        content = delivery.content
        if envelope is not None:
            content = stamped(envelope, kept(delivery.content, delivery.priority))
        number = delivery.place if isinstance(delivery.place, int) else next(numbers)
        held = Held(number, delivery.priority, content)
        self._run(self._taps.put_back(self._channel(delivery.queue), held))

    def reader(self, consumer: Consumer, watcher: Watcher) -> PublicReader:
        """Return a reader for one consumer."""
        return PublicReader(
            consumer,
            watcher,
            self._taps,
            self._channel,
            self._concerns,
            self._options.priorities,
            self._options.publish_timeout,
        )

    # Helpers

    def _put(self, queues: Iterable[str], message: Envelope) -> None:
        targets = {self._channel(queue): self._limit(queue) for queue in queues}
        try:
            self._run(self._taps.put(targets, message, self._options.full_timeout))
        except ChannelFull as exc:
            raise LayerFull(
                f"a queue is full: the capacity of {self._name} is reached. "
                "Raise 'capacity' in CHANNEL_LAYERS, or add workers."
            ) from exc

    def _limit(self, queue: str) -> int:
        return self._options.transient_capacity if self.topology.queue(queue).is_transient else 0

    def _known_targets(self, exchange: str, kind: str, routing_key: str) -> list[str]:
        return list(
            dict.fromkeys(
                found.queue
                for found in self.topology.bindings()
                if found.exchange == exchange and matches(kind, found.routing_key, routing_key)
            )
        )

    def _concerns(self, delivery: Delivery) -> bool:
        routed = routed_by(delivery.content)
        if routed is None:
            return True
        exchange, routing_key = routed
        known = [
            found
            for found in self.topology.bindings_of(delivery.queue)
            if found.exchange == exchange
        ]
        return not known or any(matches("topic", found.routing_key, routing_key) for found in known)

    def _delivery(self, queue: str, held: Held) -> Delivery:
        return Delivery(queue, priority_of(held.message), held.message, place=held.number)

    def _join(self, binding: Binding) -> None:
        if not self._taps.is_local:
            channel = self._channel(binding.queue)
            self._run(self._taps.layer.group_add(self._group(binding), channel))

    def _group(self, binding: Binding) -> str:
        is_direct = self.topology.exchanges.get(binding.exchange, "direct") == "direct"
        key = binding.routing_key if is_direct else None
        return group_name(self._namespace, binding.exchange, key)

    def _channel(self, queue: str) -> str:
        return channel_name(self._namespace, queue)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            self._taps.check()
            return bridge.run(coroutine, self._options.publish_timeout + self._options.full_timeout)
        except (TransportError, ChannelFull):
            coroutine.close()
            raise
        except Exception as exc:
            raise LayerUnreachable(f"{self._name} failed: {type(exc).__name__}: {exc}") from exc
