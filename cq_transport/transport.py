"""The kombu transport ``channels://``."""

from __future__ import annotations

import itertools
from contextlib import suppress
from importlib.metadata import version
from time import monotonic
from typing import Any
from weakref import WeakSet

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import base

from cq_transport.channel import Channel
from cq_transport.errors import LayerFull, LayerUnreachable, TransportError
from cq_transport.exits import at_exit
from cq_transport.forks import reset_in_children
from cq_transport.layers import task_layer
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import current_ledger
from cq_transport.lookout import HUB_WAKES, Lookout
from cq_transport.options import Address, Options
from cq_transport.projects import set_up
from cq_transport.renewal import Renewal
from cq_transport.topology import EXCHANGE_TYPES
from cq_transport.watcher import DescriptorWatcher

#: Seconds between two looks at deadlines.
TICK = 1.0
#: Ticks between two renewals of leases; also the longest time for which a flushed layer does not
#: know our bindings.
RENEW_EVERY = 5


class Management(base.Management):
    """What kombu's management interface asks for."""

    def get_bindings(self) -> list[dict[str, str]]:
        """Return the bindings that this process has declared."""
        return [
            {"destination": found.queue, "source": found.exchange, "routing_key": found.routing_key}
            for found in self.transport.layer.topology.bindings()
        ]


class Transport(base.Transport):
    """Carries kombu's channels over a Django Channels layer."""

    Management = Management

    can_parse_url = True
    # Celery asks for these names to decide about gossip, mingle, fanout events and
    # worker_disable_prefetch.
    driver_type = "redis"
    driver_name = "channels"

    connection_errors: Any = (*base.Transport.connection_errors, LayerUnreachable)
    channel_errors: Any = (*base.Transport.channel_errors, LayerFull)
    # kombu itself raises the second where a declaration finds its channel closed by a lost layer.
    recoverable_connection_errors = (LayerUnreachable, RecoverableConnectionError)
    recoverable_channel_errors = (LayerFull,)

    implements = base.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(EXCHANGE_TYPES), heartbeats=False
    )

    client: Any
    layer: TaskLayer
    options: Options
    #: The URL of the broker in its shortest form.
    broker: str

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)  # type: ignore[no-untyped-call]
        self.watcher = DescriptorWatcher()
        self.channels: list[Channel] = []
        self._undeclared: set[str] = set()
        self._declaring = Renewal(self._declare_quietly)
        self.channel_ids = itertools.count(1)
        self._hub: Any = None
        self._timer: Any = None
        self._lookout: Lookout | None = None
        self._ticks = 0
        self._next_tick = 0.0
        _handed_back_at_exit.add(self)
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Leave the channels and their descriptors to the parent.

        A child shares its pollers and sockets: what it leaves or reads there, the parent misses.
        """
        for channel in self.channels:
            channel.closed = True
        self.channels.clear()
        self.watcher = DescriptorWatcher()
        self._hub = self._timer = self._lookout = None

    # Connections and channels

    def establish_connection(self) -> Transport:
        """Reach the layer.

        Raises:
            LayerUnreachable: it does not answer.
            LayerMisconfigured: there is none, or it cannot hold tasks.
        """
        set_up()
        self.options = Options.parse(self.client.transport_options)
        self.layer = task_layer(self._address, self.options)
        self.broker = str(self._address)
        # Nobody waits for a layer that need not be there, unless there is another in its place.
        if not current_ledger().is_durable or len(self.client.alt) > 1:
            self.layer.connect()
        return self

    def close_connection(self, connection: Transport) -> None:
        """Close all channels; messages on their way get a moment to arrive."""
        for channel in list(self.channels):
            channel.close()
        self._declare_quietly()
        self.unregister_from_event_loop(self, self._hub)
        with suppress(TransportError):
            self.layer.flush(self.options.publish_timeout)
        self.watcher.close()
        self.watcher = DescriptorWatcher()

    def create_channel(self, connection: Transport) -> Channel:
        """Open a channel.

        Args:
            connection: what ``establish_connection`` returned. After a failover it is another
                transport than this one: kombu looks up the method first and connects then.
        """
        channel = Channel(connection)
        connection.channels.append(channel)
        return channel

    def close_channel(self, channel: Channel) -> None:
        """Forget a channel that was closed."""
        with suppress(ValueError):
            self.channels.remove(channel)
        channel.connection = None

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """Return the broker URL; it holds an alias and a namespace, never a password."""
        return str(self._address)

    def driver_version(self) -> str:
        """Return the version of Channels."""
        return version("channels")

    @property
    def _address(self) -> Address:
        return Address.parse(self.client.hostname, self.client.virtual_host)

    # Declarations that nobody waits for

    def declare_aside(self, queue: str) -> None:
        """Tell the layer of a queue and its bindings soon."""
        self._undeclared.add(queue)
        self._declaring.run(aside=True)

    def declare_now(self) -> None:
        """Tell the layer of what it was not told yet.

        Raises:
            LayerUnreachable: it does not answer; it will be told later.
        """
        while self._undeclared:
            queues = set(self._undeclared)
            self.layer.renew(queues)
            self._undeclared -= queues

    def _declare_quietly(self) -> None:
        with suppress(TransportError):  # the outbox, or a consumer, declares what it needs
            self.declare_now()

    # Waiting

    def register_with_event_loop(self, connection: Transport, loop: Any) -> None:
        """Let Celery's event loop wait for messages."""
        if self._hub is loop:
            return
        self._hub = loop
        self.watcher.attach(loop)
        loop.on_tick.add(self._on_turn)
        self._timer = loop.call_repeatedly(TICK, self._on_tick)
        if not HUB_WAKES:
            self._lookout = Lookout(loop, self._has_unacknowledged)

    def unregister_from_event_loop(self, connection: Transport, loop: Any) -> None:
        """Leave the event loop."""
        if self._hub is not None:
            self._hub.on_tick.discard(self._on_turn)
            self._timer.cancel()
            if self._lookout is not None:
                self._lookout.close()
            self.watcher.detach()
            self._hub = self._timer = self._lookout = None

    def stir(self) -> None:
        """Learn that a message was delivered or acknowledged."""
        if self._lookout is not None:
            self._lookout.stir()

    def _has_unacknowledged(self) -> bool:
        return any(len(channel.qos) for channel in self.channels)

    def drain_events(
        self, connection: Transport, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Deliver one message.

        Args:
            timeout: seconds to wait for one; ``None`` waits for ever.

        Raises:
            TimeoutError: none came.
        """
        if not self._deliver_one():
            with self.watcher.draining():
                self._wait_and_deliver(timeout)

    def _wait_and_deliver(self, timeout: float | None) -> None:
        deadline = None if timeout is None else monotonic() + timeout
        waited = False
        while not self._deliver_one():
            remaining = TICK if deadline is None else deadline - monotonic()
            if waited and remaining <= 0:
                raise TimeoutError("no message came in time")
            waited = True
            for channel in list(self.channels):
                channel.inbox.fill(eager=True)
            if monotonic() >= self._next_tick:
                self._next_tick = monotonic() + TICK
                self._on_tick()
            self.watcher.wait(max(0.0, min(remaining, TICK)))

    def _deliver_one(self) -> bool:
        for index, channel in enumerate(self.channels):
            if channel.inbox.deliver_one():
                self.channels.append(self.channels.pop(index))  # the others come first next time
                return True
        return False

    def _on_turn(self, *args: Any) -> None:
        for channel in list(self.channels):
            channel.inbox.turn()

    def _on_tick(self) -> None:
        self._ticks += 1
        for channel in list(self.channels):
            channel.tick(renew=self._ticks % RENEW_EVERY == 0)


_handed_back_at_exit: WeakSet[Transport] = WeakSet()


def _hand_back_at_exit() -> None:
    for transport in list(_handed_back_at_exit):
        for channel in list(transport.channels):
            with suppress(Exception):
                channel.close()


at_exit(_hand_back_at_exit, priority=20)
