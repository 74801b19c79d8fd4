"""What this process has declared in one namespace of one layer, whichever connection it was."""

from __future__ import annotations

from time import monotonic
from weakref import WeakValueDictionary

from channels.layers import BaseChannelLayer

from cq_transport.forks import reset_in_children
from cq_transport.topology import Topology, matches


class Namespace:
    """Exchanges, queues and bindings, and when the transient queues end."""

    def __init__(self) -> None:
        self.topology = Topology()
        self._ends: dict[str, float] = {}
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Leave the queues to the parent: a child does not see it renew their leases."""
        self._ends = {}

    def renew(self, name: str) -> None:
        """Let the lease of a queue begin anew, if it is a transient one."""
        queue = self.topology.queue(name)
        if queue.is_transient:
            self._ends[name] = monotonic() + queue.lease

    def ended(self) -> list[str]:
        """Return the queues whose lease is over."""
        now = monotonic()
        return [name for name, end in list(self._ends.items()) if end <= now]

    def forget(self, name: str) -> None:
        """Forget a queue and its bindings."""
        self._ends.pop(name, None)
        self.topology.forget(name)

    def matching(self, exchange: str, exchange_type: str, routing_key: str) -> list[str]:
        """Return the queues that a message with ``routing_key`` goes to, each once."""
        found = (
            binding.queue
            for binding in self.topology.bindings()
            if binding.exchange == exchange
            and matches(exchange_type, binding.routing_key, routing_key)
        )
        return list(dict.fromkeys(found))

    def limit_of(self, queue: str, transient_capacity: int) -> int:
        """Return ``transient_capacity`` for a transient queue, 0 for any other."""
        return transient_capacity if self.topology.queue(queue).is_transient else 0


_namespaces: WeakValueDictionary[tuple[int, str], Namespace] = WeakValueDictionary()


def namespace_of(layer: BaseChannelLayer, name: str) -> Namespace:
    """Return what this process has declared, the same for every caller that keeps ``layer``."""
    found = _namespaces.get((id(layer), name))
    if found is None:
        found = _namespaces[id(layer), name] = Namespace()
    return found
