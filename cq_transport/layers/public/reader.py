"""Brings the messages of some queues to one consumer, from the loop thread to the consumer's."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from cq_transport.errors import TransportError
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.public.bridge import bridge
from cq_transport.layers.public.store import Held
from cq_transport.layers.public.taps import Taps
from cq_transport.layers.public.threads import make_lock


class PublicReader:
    """Takes messages from the taps of its queues while its consumer has room.

    Args:
        consumer: whose messages they are.
        watcher: waits for the descriptor by which the loop thread wakes this one.
        taps: the layer's channels.
        channel_of: tells the channel of a queue.
        concerns: tells whether a message is meant for the queue it was found in.
        priorities: all priorities, most urgent first.
        patience: seconds that the layer may take to give everything back.
    """

    def __init__(
        self,
        consumer: Consumer,
        watcher: Watcher,
        taps: Taps,
        channel_of: Callable[[str], str],
        concerns: Callable[[Delivery], bool],
        priorities: Sequence[int],
        patience: float,
    ) -> None:
        self.priorities = priorities
        self._consumer = consumer
        self._watcher = watcher
        self._taps = taps
        self._channel_of = channel_of
        self._concerns = concerns
        self._patience = patience
        self._pid = os.getpid()
        self._queues: dict[str, str] = {}
        self._used: set[str] = set()
        self._lock = make_lock()
        self._found: list[Delivery] = []
        self._limit = 0
        self._is_lingering = False
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        watcher.watch(self._near.fileno(), self.on_readable)

    # The loop thread's side

    def wants(self) -> bool:
        """Tell whether there is room for another message."""
        return len(self._found) < self._limit

    def offer(self, channel: str, held: Held) -> bool:
        """Take a message; tell whether it was taken."""
        with self._lock:
            queue = self._queues.get(channel)
            if queue is None or not self.wants():
                return False
            self._found.append(Delivery(queue, held.priority, held.message, place=held.number))
            is_first = len(self._found) == 1
        if is_first:
            with suppress(OSError):  # closed, or there are bytes enough to wake it
                self._far.send(b"\0")
        return True

    # The consumer's side

    @property
    def is_connected(self) -> bool:
        """Whether the layer can be reached as far as is known."""
        return not self._taps.is_broken(list(self._queues))

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues, and no others, from now on."""
        self.stop()
        channels = {self._channel_of(queue): queue for queue in queues}
        with self._lock:
            self._queues = channels
        self._used |= channels.keys()
        bridge.call_soon(self._taps.join, self, list(channels))

    def pump(self, eager: bool = False) -> None:
        """Let the taps fill the consumer's room."""
        room = self._consumer.room()
        if not eager and room > 0 and (seconds := self._consumer.linger(room)):
            self._linger(seconds)
            return
        self._is_lingering = False
        with self._lock:
            had_room, self._limit = self.wants(), max(0, room)
            has_room = self.wants()
        if has_room and not had_room and self._queues:
            bridge.call_soon(self._taps.stir, self._in_turn())

    def tick(self) -> None:
        """Look after what the layer may have forgotten."""
        if self._queues:
            bridge.call_soon(self._taps.refresh, list(self._queues))
        self.pump(eager=True)

    def on_readable(self) -> None:
        """Hand over what the loop thread has brought."""
        with suppress(BlockingIOError):
            self._near.recv(4096)
        self._consumer.arrived(self._take_found())

    def stop(self) -> None:
        """Stop reading; what is here already is handed over."""
        with self._lock:
            channels, self._queues, self._limit = list(self._queues), {}, 0
        if self._is_inherited:
            return
        if channels:
            bridge.call_soon(self._taps.part, self, channels)
        found = self._take_found()
        if found:
            self._consumer.arrived(found)

    def close(self) -> None:
        """Stop for good; what nobody else here reads goes back to the layer."""
        if self._is_inherited:
            return
        with suppress(TransportError):
            self.stop()
            bridge.run(self._taps.leave(self, self._used), self._patience)
        self._watcher.unwatch(self._near.fileno())
        self._near.close()
        self._far.close()

    # Helpers

    @property
    def _is_inherited(self) -> bool:
        # In a forked child the descriptors, and what they bring, are the parent's.
        return self._pid != os.getpid()

    def _take_found(self) -> list[Delivery]:
        with self._lock:
            found, self._found = self._found, []
            self._limit = max(0, self._limit - len(found))
        return [delivery for delivery in found if self._concerns(delivery)]

    def _in_turn(self) -> list[str]:
        # No queue comes first for ever.
        channels = list(self._queues)
        first = channels[0]
        with self._lock:
            self._queues[first] = self._queues.pop(first)
        return channels

    def _linger(self, seconds: float) -> None:
        if not self._is_lingering:
            self._is_lingering = True
            self._watcher.call_later(seconds, self._end_of_linger)

    def _end_of_linger(self) -> None:
        if self._is_lingering:
            self.pump(eager=True)
