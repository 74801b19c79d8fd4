"""Takes messages from one Redis host for one consumer.

A reader has one connection and at most one request under way:

    IDLE ──pop──► POPPING ────────────► IDLE        one script takes a batch, the most urgent first
                     ▲                              if it was not full, the queues are empty, so
    IDLE ──wait─► WAITING                           next time: BZPOPMIN sleeps in Redis until a bell
                                                    rings, and the script comes behind it

The two requests of a wait are sent together, so they take one round trip. Nothing but the script
takes messages: Redis keeps what it has given, until the next request shows that it has arrived.

A lost connection is made anew here and not reported: if Celery heard of it, it would give up what
it has reserved.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from time import monotonic
from typing import Any

from kombu.log import get_logger

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.redis.answers import popped
from cq_transport.layers.redis.attempt import Attempt
from cq_transport.layers.redis.host import Host
from cq_transport.layers.redis.keys import Keys
from cq_transport.layers.redis.link import Link
from cq_transport.layers.redis.questions import WAIT_TIMEOUT, Command, Pop, Questions

logger = get_logger(__name__)

#: Seconds without an answer that was due, after which the connection counts as dead.
DEAD_AFTER = 5.0
#: Seconds between attempts to reconnect.
RECONNECT_PAUSE = 1.0


class State(Enum):
    """What a reader has under way."""

    IDLE = "idle"
    POPPING = "popping"
    WAITING = "waiting"


class HostReader:
    """Reads the channels of some queues on one host.

    Args:
        host: the host.
        keys: the key names.
        priorities: all priorities, most urgent first.
        consumer: whose messages they are.
        watcher: waits for the connection's descriptor.
    """

    def __init__(
        self,
        host: Host,
        keys: Keys,
        priorities: Sequence[int],
        consumer: Consumer,
        watcher: Watcher,
    ) -> None:
        self._host = host
        self._link = Link(host.make_connection)
        self._questions = Questions(keys, priorities)
        self._consumer = consumer
        self._watcher = watcher
        self._lock = threading.RLock()
        self._state = State.IDLE
        self._pop: Pop | None = None  # the last one, until it is answered
        self._empty = False
        self._due = 0.0
        self._next_attempt = 0.0
        self._fd: int | None = None
        self._was_lost = False
        self._aside: Attempt | None = None

    @property
    def reserved(self) -> int:
        """The messages for which the request under way holds room.

        A wait holds none: it may last, and the other hosts must not wait for it. What it brings
        beyond the window is put back.
        """
        return self._pop.room if self._pop and self._state is State.POPPING else 0

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues from now on; to be called while nothing is under way."""
        with self._lock:
            self._questions.follow(queues)
            self._empty = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._link.is_connected

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._state is State.IDLE

    def pump(self, room: int) -> None:
        """Ask for up to ``room`` messages, if nothing is under way."""
        with self._lock:
            is_free = self._state is State.IDLE and self._questions.queues and room > 0
            if is_free and self._ensure_connected():
                self._ask(room)

    def on_readable(self) -> None:
        """Take the answer from the socket and hand over what it brings."""
        with self._lock:
            deliveries = self._read_answer()
        self._consumer.arrived(deliveries)

    def tick(self) -> None:
        """Give up a connection whose answer is overdue."""
        with self._lock:
            if self.is_idle or monotonic() <= self._due:
                return
            # An answer that has come is not overdue, however late this process is to read it: after
            # a long task in a solo pool, say.
            if self._link.readable():
                deliveries = self._read_answer()
            else:
                self._lose(LayerUnreachable("no answer in time"))
                return
        self._consumer.arrived(deliveries)

    def interrupt(self) -> list[Delivery]:
        """End the request under way and return what it has brought."""
        with self._lock:
            if self._state is State.IDLE and self._pop is not None and self._connect_again():
                # What was popped before the connection broke is ours.
                self._write(State.POPPING, self._pop.command)
            if self._state is State.IDLE:
                return []
            if self._state is State.WAITING:
                # A host that is away or out of memory cannot wake; then the wait ends in its time.
                with suppress(TransportError):
                    self._host.wake(self._questions.wake_key)
            while self._link.readable(max(0.0, self._due - monotonic())):
                found = self._read_answer()
                if self.is_idle:
                    return found
            self._lose(LayerUnreachable("no answer in time"))
            return []

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._questions.follow(())
            if self._aside is not None:
                self._aside.abandon()
                self._aside = None
            self._unwatch()
            self._link.close()
            self._state = State.IDLE

    def _ask(self, room: int) -> None:
        if self._pop is None:
            self._pop = self._questions.pop(room)
        if self._empty:
            self._write(State.WAITING, self._questions.wait, self._pop.command)
        else:
            self._write(State.POPPING, self._pop.command)

    def _write(self, state: State, *commands: Command) -> None:
        try:
            for command in commands:
                self._link.write(self._link.pack(*command))
        except LayerUnreachable as exc:
            self._lose(exc)
            return
        self._state = state
        self._due = monotonic() + DEAD_AFTER + (WAIT_TIMEOUT if state is State.WAITING else 0)

    def _read_answer(self) -> list[Delivery]:
        # No more answers are read than are due: asking the socket for more would cost a system call
        # each time.
        try:
            if self._state is State.WAITING:
                self._next_answer()  # which bell it was does not matter
                self._state, self._due = State.POPPING, monotonic() + DEAD_AFTER
                if not self._link.readable():
                    return []
            return self._popped(self._next_answer())
        except LayerUnreachable as exc:
            self._lose(exc)
            return []

    def _next_answer(self) -> Any:
        answer = self._link.read()
        if isinstance(answer, Exception):
            # The scripts were flushed, or memory or permissions are short: a new connection loads
            # the scripts again.
            raise LayerUnreachable(f"the channel layer's Redis refuses: {answer}")
        return answer

    def _popped(self, answer: list[Any]) -> list[Delivery]:
        pop, self._pop, self._state = self._pop, None, State.IDLE
        self._found_well()
        if pop is None:
            return []
        deliveries = popped(answer, pop.channels, self._host)
        self._empty = len(deliveries) < pop.room
        return deliveries

    def _ensure_connected(self) -> bool:
        if self._link.is_connected:
            return True
        if self._was_lost and self._watcher.has_hub:
            self._connect_aside()
            return False
        return self._connect_again()

    def _connect_again(self) -> bool:
        if self._link.is_connected:
            return True
        if self._aside is not None or monotonic() < self._next_attempt:
            return False
        try:
            self._link.connect()
        except LayerUnreachable as exc:
            self._lose(exc)
            return False
        self._watch()
        return True

    def _connect_aside(self) -> None:
        # A host that accepts connections and says nothing must not stop the event loop.
        if self._aside is None and monotonic() >= self._next_attempt:
            self._aside = Attempt(self._host.make_connection, self._watcher, self._connected)

    def _connected(self, link: Link, error: LayerUnreachable | None) -> None:
        with self._lock:
            self._aside = None
            if error is not None:
                self._lose(error)
                return
            if not self._questions.queues or self._link.is_connected:
                link.close()
                return
            self._link = link
            self._watch()
        self._consumer.arrived(())

    def _watch(self) -> None:
        self._fd = self._link.fileno()
        self._watcher.watch(self._fd, self.on_readable)

    def _found_well(self) -> None:
        # An answer shows it, a connection does not: a replica accepts those and serves nobody.
        if self._was_lost:
            logger.info(
                "The connection to the channel layer is back; consuming %s.",
                ", ".join(self._questions.queues),
            )
        self._was_lost, self._next_attempt = False, 0.0

    def _lose(self, exc: LayerUnreachable) -> None:
        if not self._was_lost:
            logger.warning(
                "The connection to the channel layer is lost and will be made anew: %s", exc
            )
        self._was_lost = True
        self._unwatch()
        self._link.close()
        self._state = State.IDLE
        # The first attempt is made at once, the next ones with a pause until an answer comes.
        self._next_attempt = monotonic() + (RECONNECT_PAUSE if self._next_attempt else 0.0)
        self._empty = False

    def _unwatch(self) -> None:
        if self._fd is not None:
            self._watcher.unwatch(self._fd)
            self._fd = None
