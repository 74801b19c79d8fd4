"""How messages find the queues that are bound to an exchange.

In a layer of this process alone every binding is known here. In a layer that processes share,
bindings are groups:

    direct         one group per exchange and routing key; a publisher that knows bindings itself
                   sends to their queues instead, because a group hides that a queue is full
    topic, fanout  one group per exchange; the reader of a queue drops what its bindings don't match
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from cq_transport.layers.base import Delivery
from cq_transport.layers.public.namespace import Namespace
from cq_transport.layers.public.stamps import routed_by
from cq_transport.naming import group_name
from cq_transport.topology import Binding, matches


class Way(NamedTuple):
    """Where a message is to be put: into queues, and into groups of queues."""

    queues: list[str]
    groups: list[str]


class Routes(Protocol):
    """The rules of one kind of layer."""

    def group_of(self, binding: Binding) -> str | None:
        """Return the group that stands for a binding, if one does."""

    def way(self, exchange: str, routing_key: str) -> Way | None:
        """Return where a message goes, or ``None`` if there is no binding for it."""

    def concerns(self, delivery: Delivery) -> bool:
        """Tell whether a message is meant for the queue it was found in."""


class LocalRoutes:
    """Routes by the bindings declared in this process."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def group_of(self, binding: Binding) -> str | None:
        """No groups are needed."""
        return None

    def way(self, exchange: str, routing_key: str) -> Way | None:
        """Return the queues whose bindings match."""
        kind = self._namespace.topology.exchanges.get(exchange, "direct")
        queues = self._namespace.matching(exchange, kind, routing_key)
        return Way(queues, []) if queues else None

    def concerns(self, delivery: Delivery) -> bool:
        """Everything was routed by its sender."""
        return True


class GroupRoutes:
    """Routes by groups of the layer, whose members are other processes' queues too.

    Whether a group has members cannot be asked, so no message is known to be unroutable.
    """

    def __init__(self, name: str, namespace: Namespace) -> None:
        self._name = name
        self._namespace = namespace
        self._topology = namespace.topology

    def group_of(self, binding: Binding) -> str | None:
        """Return the group of a binding."""
        if self._topology.exchanges.get(binding.exchange, "direct") == "direct":
            return group_name(self._name, binding.exchange, binding.routing_key)
        return group_name(self._name, binding.exchange)

    def way(self, exchange: str, routing_key: str) -> Way | None:
        """Return the queues of a direct exchange that are known here, else the groups."""
        exchange_type = self._topology.exchanges.get(exchange)
        whole = group_name(self._name, exchange)
        if exchange_type in ("topic", "fanout"):
            return Way([], [whole])
        queues = self._namespace.matching(exchange, "direct", routing_key)
        if queues:
            return Way(queues, [])
        direct = group_name(self._name, exchange, routing_key)
        # An exchange that was declared elsewhere may be of any type, but is of one only.
        return Way([], [direct] if exchange_type else [direct, whole])

    def concerns(self, delivery: Delivery) -> bool:
        """Tell whether a binding of the queue matches; if none is known here, one elsewhere did."""
        routed = routed_by(delivery.content)
        if routed is None:
            return True
        exchange, routing_key = routed
        exchange_type = self._topology.exchanges.get(exchange, "direct")
        patterns = [
            binding.routing_key
            for binding in self._topology.bindings_of(delivery.queue)
            if binding.exchange == exchange
        ]
        return not patterns or any(
            matches(exchange_type, pattern, routing_key) for pattern in patterns
        )
