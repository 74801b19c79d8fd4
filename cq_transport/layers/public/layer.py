"""Any channel layer as a message broker, through the calls that every layer has.

What these calls cannot do, this adapter cannot either, unless the layer lives in this process
alone: take the urgent messages first (they are sorted among those that are taken), put a message
back at the front (it becomes the last), count messages, or tell an unroutable message.

Nor is it better than they are: a ``receive`` that repeats messages where processes compete for a
channel repeats tasks, and what it loses when it is cancelled is lost.

A transient queue ends when its lease is over, which only its readers renew. In a layer that
processes share nobody sees the others' readers, so it ends in a process that has read it and has
stopped, and nowhere else.
"""

from __future__ import annotations

import uuid
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from django.core.exceptions import ImproperlyConfigured

from cq_transport.envelope import Envelope, pack, unpack
from cq_transport.errors import LayerFull, LayerMisconfigured, LayerUnreachable, TransportError
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.public import stamps
from cq_transport.layers.public.bridge import bridge
from cq_transport.layers.public.namespace import namespace_of
from cq_transport.layers.public.reader import PublicReader
from cq_transport.layers.public.routes import GroupRoutes, LocalRoutes, Routes, Way
from cq_transport.layers.public.store import Held
from cq_transport.layers.public.taps import taps_of
from cq_transport.naming import channel_name
from cq_transport.options import Options
from cq_transport.topology import Binding, Queue

T = TypeVar("T")

#: What a layer raises for a message that it cannot carry in the form it has.
_REFUSALS = (TypeError, ValueError, OverflowError, AssertionError)

#: What tells this process's layers from those of the one before it.
_PROCESS = uuid.uuid4().hex


class PublicTaskLayer:
    """One namespace on a channel layer, for one process.

    Args:
        layer: the project's channel layer; its capacities and expiry apply.
        namespace: the part of the broker URL behind the alias.
        options: the transport options.
    """

    def __init__(self, layer: BaseChannelLayer, namespace: str, options: Options) -> None:
        self._taps = taps_of(layer)
        self._namespace = namespace_of(layer, namespace)
        self.topology = self._namespace.topology
        self._name = namespace
        self._options = options
        self._routes: Routes = (
            LocalRoutes(self._namespace)
            if self._taps.is_local
            else GroupRoutes(namespace, self._namespace)
        )

    # Reaching the layer

    @property
    def description(self) -> str:
        """What the layer is, in a few words without passwords."""
        where = "in this process alone" if self._taps.is_local else "through its public calls"
        return f"{type(self._taps.layer).__name__} {where}"

    def connect(self) -> None:
        """Reach the layer.

        Raises:
            LayerUnreachable: it does not answer.
            LayerMisconfigured: it cannot be used in this process, or has no groups.
        """
        self._taps.check()
        try:
            self._run(self._taps.probe(), NotImplementedError)
        except NotImplementedError as exc:
            raise LayerMisconfigured(
                f"{type(self._taps.layer).__name__} has no groups, which exchanges need; "
                "give tasks a channel layer with the groups extension."
            ) from exc

    def epoch(self) -> str | None:
        """Return this process's mark where the layer lives in it alone."""
        return _PROCESS if self._taps.is_local else None

    def flush(self, timeout: float) -> None:
        """Nothing is under way: every publish waits for the layer."""

    # Topology

    def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Know an exchange."""
        self.topology.exchanges[name] = exchange_type

    def exchange_type(self, name: str) -> str | None:
        """Return the type of an exchange declared in this process."""
        return self.topology.exchanges.get(name)

    def has_exchange(self, name: str) -> bool:
        """Tell whether an exchange was declared in this process."""
        return name in self.topology.exchanges

    def delete_exchange(self, name: str) -> None:
        """Remove an exchange and the bindings of this process."""
        bindings = [found for found in self.topology.bindings() if found.exchange == name]
        for binding in bindings:
            self.unbind(binding)
        self.topology.exchanges.pop(name, None)

    def declare_queue(self, queue: Queue) -> None:
        """Know a queue; its lease begins where it can be read: here, or when it is read here."""
        self._end_leases()
        self.topology.queues[queue.name] = queue
        if self._taps.is_local:
            self._namespace.renew(queue.name)

    def has_queue(self, name: str) -> bool:
        """Tell whether a queue was declared in this process and has not ended."""
        self._end_leases()
        return name in self.topology.queues

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its bindings and its messages."""
        for binding in self.topology.bindings_of(name):
            self.unbind(binding)
        self._namespace.forget(name)
        self._run(self._taps.drop(self._channel(name)))

    def bind(self, binding: Binding) -> None:
        """Add a binding."""
        self.topology.bind(binding)
        self._join_groups([binding])

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""
        self.topology.unbind(binding)
        group = self._routes.group_of(binding)
        others = self.topology.bindings_of(binding.queue)
        if group is not None and group not in map(self._routes.group_of, others):
            self._run(self._taps.layer.group_discard(group, self._channel(binding.queue)))

    def renew(self, queues: Iterable[str]) -> None:
        """Let the leases of queues begin anew, and their memberships in groups, which lapse."""
        for name in queues:
            self._namespace.renew(name)
            self._join_groups(self.topology.bindings_of(name))

    # Messages

    def size(self, queue: str) -> int:
        """Return how many messages wait in a queue, as far as this process sees them."""
        return self._run(self._taps.size(self._channel(queue)))

    def purge(self, queue: str) -> int:
        """Remove the waiting messages of a queue and return how many there were.

        Raises:
            LayerUnreachable: the layer does not answer.
        """
        return self._run(self._taps.purge(self._channel(queue)))

    def send(self, queue: str, priority: int, envelope: Envelope) -> None:
        """Put a message into a queue.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted.
        """
        self._put({self._channel(queue): 0}, [], envelope, stamps.fresh(priority))

    def route(
        self,
        exchange: str,
        routing_key: str,
        priority: int,
        envelope: Envelope,
        *,
        best_effort: bool = False,
    ) -> None:
        """Put a message into every queue that an exchange leads to.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted.
        """
        self._end_leases()
        way = self._routes.way(exchange, routing_key)
        if way is None:
            if self._options.deadletter_queue is None:
                return
            way = Way([self._options.deadletter_queue], [])
        routed = None
        if way.groups and self.topology.exchanges.get(exchange) != "fanout":
            routed = exchange, routing_key
        targets = {self._channel(queue): self._limit(queue) for queue in way.queues}
        self._put(targets, way.groups, envelope, stamps.fresh(priority, routed))

    def get(self, queue: str) -> Delivery | None:
        """Take one message, waiting no longer than a layer needs to answer.

        Raises:
            LayerUnreachable: it does not answer.
        """
        while True:
            held = self._run(self._taps.take(self._channel(queue), self._options.priorities))
            if held is None:
                return None
            delivery = Delivery(queue, held.priority, held.message, place=held.number)
            if self._routes.concerns(delivery):
                return delivery

    def decode(self, delivery: Delivery) -> Envelope:
        """Read the message of a delivery; raises ``UndecodableMessage``."""
        envelope = unpack(delivery.content)
        delivery.age = stamps.age_of(envelope)
        return envelope

    def restore(self, delivery: Delivery, envelope: Envelope | None = None) -> None:
        """Put a message back, changed to ``envelope`` if one is given; where the layer is shared
        it becomes the last of its queue.
        """
        channel = self._channel(delivery.queue)
        if envelope is not None and not self._taps.is_local:
            self._put({channel: 0}, [], envelope, stamps.kept(envelope, delivery.priority))
            return
        message = delivery.content if envelope is None else envelope
        self._run(self._taps.put_back(channel, Held(delivery.place, delivery.priority, message)))

    def reader(self, consumer: Consumer, watcher: Watcher) -> PublicReader:
        """Return a reader for one consumer."""
        self._taps.check()
        return PublicReader(
            consumer,
            watcher,
            self._taps,
            channel_of=self._channel,
            concerns=self._routes.concerns,
            priorities=self._options.priorities,
            patience=self._options.publish_timeout,
        )

    # Helpers

    def _channel(self, queue: str) -> str:
        return channel_name(self._name, queue)

    def _limit(self, queue: str) -> int:
        return self._namespace.limit_of(queue, self._options.transient_capacity)

    def _join_groups(self, bindings: Iterable[Binding]) -> None:
        members = [
            (group, self._channel(binding.queue))
            for binding in bindings
            if (group := self._routes.group_of(binding)) is not None
        ]
        if members:
            self._run(self._taps.join_groups(members))

    def _end_leases(self) -> None:
        for name in self._namespace.ended():
            if self._taps.is_read(self._channel(name)):
                self._namespace.renew(name)
            else:
                self.delete_queue(name)

    def _put(
        self, targets: dict[str, int], groups: list[str], envelope: Envelope, marks: dict[str, Any]
    ) -> None:
        def send(message: Envelope) -> None:
            message = {**message, **marks}  # also in the portable form they can be read at once
            if targets:
                put = self._taps.put(targets, message, self._options.full_timeout)
                self._run(put, *_REFUSALS)
            for group in groups:
                self._run(self._taps.layer.group_send(group, message), *_REFUSALS)

        try:
            pack(stamps.stamped(envelope, marks), send)
        except _REFUSALS as exc:
            raise TransportError(f"the channel layer refuses the message: {exc}") from exc

    def _run(self, coroutine: Coroutine[Any, Any, T], *passed: type[Exception]) -> T:
        try:
            self._taps.check()
        except TransportError:
            coroutine.close()
            raise
        try:
            return bridge.run(coroutine, self._options.publish_timeout + self._options.full_timeout)
        except Exception as exc:
            if isinstance(exc, (TransportError, *passed)):
                raise
            raise self._translated(exc) from exc

    def _translated(self, exc: Exception) -> TransportError:
        name = type(self._taps.layer).__name__
        if isinstance(exc, ChannelFull):
            return LayerFull(
                f"a queue is full: the capacity of {name} is reached. "
                "Raise 'capacity' or 'channel_capacity' in CHANNEL_LAYERS, or add workers."
            )
        if isinstance(exc, ImproperlyConfigured):
            return LayerMisconfigured(str(exc))
        # Whatever the layer's own client raises.
        return LayerUnreachable(f"{name} is unreachable: {type(exc).__name__}: {exc}")
