"""Takes messages from one Redis host for one consumer.

A reader has one connection and at most one request under way:

    IDLE ──pop──► POPPING ──some──► IDLE        one script takes a batch, the most urgent first
                     └─────none───► IDLE        the queues are empty, so next time:
    IDLE ──wait─► WAITING ─message► IDLE        BZPOPMIN sleeps in Redis until a message comes

A lost connection is made anew here and not reported: if Celery heard of it, it would give up what
it has reserved.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from time import monotonic
from typing import Any

from kombu.log import get_logger

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.redis.answers import Answers, Source
from cq_transport.layers.redis.attempt import Attempt
from cq_transport.layers.redis.host import Host
from cq_transport.layers.redis.keys import Keys
from cq_transport.layers.redis.link import Link
from cq_transport.layers.redis.scripts import POP

logger = get_logger(__name__)

#: Seconds that Redis holds a waiting reader; afterwards the answer shows that the connection lives.
WAIT_TIMEOUT = 5
#: Seconds without an answer that was due, after which the connection counts as dead.
DEAD_AFTER = 5.0
#: Seconds between attempts to reconnect.
RECONNECT_PAUSE = 1.0
#: Seconds for which Redis keeps the last batch for a reader that lost its connection.
BATCH_KEPT = 300


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
        self._keys = keys
        self._priorities = priorities
        self._consumer = consumer
        self._watcher = watcher
        self._lock = threading.RLock()
        self._name = uuid.uuid4().hex
        self._wake_key = keys.wake(self._name)
        self._batch_key = keys.batch(self._name)
        self._queues: list[str] = []
        self._channels: list[Source] = []
        self._answers = Answers(host)
        self._state = State.IDLE
        self._wanted = 0
        self._request = 0
        self._repeat: tuple[Any, ...] | None = None
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
        return self._wanted if self._state is State.POPPING else 0

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues from now on; to be called while nothing is under way."""
        with self._lock:
            self._queues = list(queues)
            self._channels = self._ordered_channels()
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
            if self._state is State.IDLE and self._queues and room > 0 and self._ensure_connected():
                self._ask(room)

    def on_readable(self) -> None:
        """Take the answer from the socket and hand over what it brings."""
        with self._lock:
            deliveries = self._read_answer()
        self._consumer.arrived(deliveries)

    def tick(self) -> None:
        """Give up a connection whose answer is overdue."""
        with self._lock:
            # An answer that has come is not overdue, however late this process is to read it: after
            # a long task in a solo pool, say. It may be a message.
            is_late = self._state is not State.IDLE and monotonic() > self._due
            if is_late and not self._link.readable():
                self._lose(LayerUnreachable("no answer in time"))

    def interrupt(self) -> list[Delivery]:
        """End the request under way and return what it has brought."""
        with self._lock:
            if self._state is State.IDLE and self._repeat is not None and self._connect_again():
                self._pop(self._repeat)  # what was popped before the connection broke is ours
            if self._state is State.IDLE:
                return []
            if self._state is State.WAITING:
                # A host that is away or out of memory cannot wake; then the wait ends in its time.
                with suppress(TransportError):
                    self._host.wake(self._wake_key)
            if self._link.readable(max(0.0, self._due - monotonic())):
                return self._read_answer()
            self._lose(LayerUnreachable("no answer in time"))
            return []

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._queues = []
            if self._aside is not None:
                self._aside.abandon()
                self._aside = None
            self._unwatch()
            self._link.close()
            self._state = State.IDLE
            self._wanted = 0

    def _ordered_channels(self) -> list[Source]:
        return [
            Source(queue, priority, self._keys.channel(queue, priority))
            for priority in self._priorities
            for queue in self._queues
        ]

    def _ask(self, room: int) -> None:
        if self._repeat is not None:
            self._pop(self._repeat)
        elif self._empty:
            self._wait()
        else:
            self._request += 1
            self._wanted = room
            if len(self._queues) > 1:  # no queue is first among its equals for ever
                self._queues.append(self._queues.pop(0))
                self._channels = self._ordered_channels()
            self._answers.channels = self._channels
            keys = [key for _, _, key in self._channels]
            self._pop(
                (
                    *("EVALSHA", POP.sha, len(keys) + 1, self._batch_key, *keys),
                    *(self._request, room, BATCH_KEPT),
                )
            )

    def _pop(self, command: tuple[Any, ...]) -> None:
        self._repeat = command  # until it is answered
        self._write(State.POPPING, command, DEAD_AFTER)

    def _wait(self) -> None:
        self._wanted = 1
        self._answers.channels = self._channels
        keys = [key for _, _, key in self._channels]
        self._write(
            State.WAITING,
            ("BZPOPMIN", self._wake_key, *keys, WAIT_TIMEOUT),
            WAIT_TIMEOUT + DEAD_AFTER,
        )

    def _write(self, state: State, command: tuple[Any, ...], patience: float) -> None:
        try:
            self._link.write(self._link.pack(*command))
        except LayerUnreachable as exc:
            self._lose(exc)
            return
        self._state = state
        self._due = monotonic() + patience

    def _read_answer(self) -> list[Delivery]:
        # One request has one answer: asking the socket for more would cost a system call each time.
        try:
            return self._take(self._link.read())
        except LayerUnreachable as exc:
            self._lose(exc)
            return []

    def _take(self, answer: Any) -> list[Delivery]:
        state, self._state, self._wanted = self._state, State.IDLE, 0
        if isinstance(answer, Exception):
            # The scripts were flushed, or memory or permissions are short: a new connection loads
            # the scripts again.
            raise LayerUnreachable(f"the channel layer's Redis refuses: {answer}")
        self._found_well()
        if state is State.WAITING:
            return self._waited(answer)
        return self._popped(answer) if state is State.POPPING else []

    def _popped(self, answer: list[Any]) -> list[Delivery]:
        self._repeat = None
        deliveries = self._answers.popped(answer)
        self._empty = not deliveries
        return deliveries

    def _waited(self, answer: list[Any] | None) -> list[Delivery]:
        deliveries = self._answers.waited(answer)
        self._empty = self._empty and not deliveries
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
            if not self._queues or self._link.is_connected:
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
                ", ".join(self._queues),
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
        self._wanted = 0
        # The first attempt is made at once, the next ones with a pause until an answer comes.
        self._next_attempt = monotonic() + (RECONNECT_PAUSE if self._next_attempt else 0.0)
        self._empty = False

    def _unwatch(self) -> None:
        if self._fd is not None:
            self._watcher.unwatch(self._fd)
            self._fd = None
