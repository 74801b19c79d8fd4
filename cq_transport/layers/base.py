"""What the transport needs of a channel layer: the narrow waist between kombu's side and the
layers' side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cq_transport.envelope import Envelope
from cq_transport.topology import Binding, Queue, Topology


@dataclass(slots=True)
class Delivery:
    """A message taken from the layer that nobody has acknowledged yet.

    Args:
        queue: the queue it was taken from.
        priority: the priority it was published with.
        content: the message as the layer gave it; ``TaskLayer.decode`` reads it.
        place: what the layer needs to put it back where it was.
        age: seconds since it was published, by the layer's clock; 0 where the layer does not tell.
        envelope: the message, once it is decoded.
        is_claimed: whether the ledger has been asked for it, and has given it.
    """

    queue: str
    priority: int
    content: Any
    place: Any = None
    age: float = 0.0
    envelope: Envelope | None = None
    is_claimed: bool = False


class Consumer(Protocol):
    """Who reads: a kombu channel with its prefetch window."""

    def room(self) -> int:
        """Return how many more messages may be taken now."""

    def window(self) -> int:
        """Return the prefetch count; 0 if it is not limited."""

    def linger(self, room: int) -> float:
        """Return the seconds for which a request for so many messages waits until there is room
        for more.
        """

    def arrived(self, deliveries: Sequence[Delivery]) -> None:
        """Take over messages."""


class Watcher(Protocol):
    """Who waits for descriptors: Celery's event loop, or the caller of ``drain_events``."""

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` whenever ``fd`` has something to read."""

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; to be called before it is closed."""

    @property
    def has_hub(self) -> bool:
        """Whether an event loop does the waiting."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after another look at the descriptors; in the event loop's thread."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once; without an event loop, at the next turn."""


class Reader(Protocol):
    """Brings the messages of some queues to one consumer."""

    @property
    def is_connected(self) -> bool:
        """Whether the layer can be reached as far as is known."""

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues, and no others, from now on."""

    def pump(self, eager: bool = False) -> None:
        """Ask the layer for as many messages as the consumer has room for.

        Args:
            eager: ask even for a single message, because the consumer has nothing left to do.
        """

    def tick(self) -> None:
        """Look after deadlines and lost connections; to be called about once a second."""

    def stop(self) -> None:
        """Stop reading; what is still under way is put back. The reader may be used again."""

    def close(self) -> None:
        """Stop for good and release everything."""


class TaskLayer(Protocol):
    """A channel layer as a message broker, for one namespace."""

    topology: Topology

    @property
    def description(self) -> str:
        """What the layer is, in a few words without passwords."""

    def connect(self) -> None:
        """Reach the layer.

        Raises:
            LayerUnreachable: it does not answer.
        """

    def declare_exchange(self, name: str, exchange_type: str) -> None:
        """Make an exchange known."""

    def exchange_type(self, name: str) -> str | None:
        """Return the type of an exchange, or ``None`` if nobody declared it."""

    def has_exchange(self, name: str) -> bool:
        """Tell whether an exchange was declared by any process that the layer lets us see."""

    def delete_exchange(self, name: str) -> None:
        """Remove an exchange and its bindings."""

    def declare_queue(self, queue: Queue) -> None:
        """Make a queue known."""

    def has_queue(self, name: str) -> bool:
        """Tell whether a queue was declared and has not ended."""

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its bindings and its messages."""

    def bind(self, binding: Binding) -> None:
        """Add a binding that every process sees."""

    def unbind(self, binding: Binding) -> None:
        """Remove a binding."""

    def renew(self, queues: Iterable[str]) -> None:
        """Renew the leases of queues that are consumed here, with their bindings."""

    def size(self, queue: str) -> int:
        """Return how many messages wait in a queue; 0 where the layer cannot tell."""

    def purge(self, queue: str) -> int:
        """Remove the waiting messages of a queue and return how many there were."""

    def send(self, queue: str, priority: int, envelope: Envelope) -> None:
        """Put a message into a queue.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted.
        """

    def route(
        self,
        exchange: str,
        routing_key: str,
        priority: int,
        envelope: Envelope,
        *,
        best_effort: bool = False,
    ) -> None:
        """Put a message into every queue that ``exchange`` leads to.

        Args:
            best_effort: rather lose the message than wait for a layer that is slow or away.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted.
        """

    def get(self, queue: str) -> Delivery | None:
        """Take one message, without waiting."""

    def decode(self, delivery: Delivery) -> Envelope:
        """Read the message of a delivery.

        Raises:
            UndecodableMessage: it is none of this transport's.
        """

    def restore(self, delivery: Delivery, envelope: Envelope | None = None) -> None:
        """Put a message back in its place, changed to ``envelope`` if one is given."""

    def reader(self, consumer: Consumer, watcher: Watcher) -> Reader:
        """Return a reader for one consumer."""

    def epoch(self) -> str | None:
        """Return a name for what the layer holds, which changes whenever it may have lost messages;
        ``None`` where that cannot be told.

        Raises:
            LayerUnreachable: it does not answer.
        """

    def flush(self, timeout: float) -> None:
        """Wait until the layer has answered for everything that was sent.

        Raises:
            LayerUnreachable: it has not within ``timeout`` seconds.
        """
