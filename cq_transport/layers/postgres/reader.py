"""Takes messages from the table for one consumer.

A reader has one connection and at most one request under way:

    IDLE ──look──► LOOKING ────────────────────────► IDLE   which channels have messages
    IDLE ──take──► TAKING ──rows──► COMMITTING ────► IDLE   a batch, the most urgent first
    IDLE ──ask───► ASKING ─────────────────────────► IDLE   whether a batch in doubt is ours

A notification of an insert tells where to take from. The reader looks for itself after it has
connected, and every few seconds: a message may be put back unnoticed, by the end of a connection in
the middle of a take.

A batch is handed over when its transaction is known to be committed; if the connection is lost just
then, the next one asks for the outcome. So nothing is lost or repeated. A lost connection is made
anew here and not reported: if Celery heard of it, it would give up what it has reserved.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from enum import Enum
from random import uniform
from time import monotonic
from typing import NamedTuple

from kombu.log import get_logger
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.layers.base import Consumer, Delivery, Watcher
from cq_transport.layers.postgres.backlog import Backlog, Wanted
from cq_transport.layers.postgres.link import Link, Request
from cq_transport.layers.postgres.names import Names
from cq_transport.layers.postgres.pace import Pace
from cq_transport.layers.postgres.rows import Taken, committed, lowest_ids, taken
from cq_transport.layers.postgres.statements import LOOK, OUTCOME, SWEEP, TAKE

logger = get_logger(__name__)

#: Seconds between two looks, and how many times as long as a look takes they are at least.
LOOK_EVERY, LOOK_SHARE = 5.0, 100
#: Looks, on average, from one that also removes what has expired to the next.
SWEEP_EVERY = 12
#: Seconds without an answer that was due, after which the connection counts as dead.
DEAD_AFTER = 30.0
#: The same where somebody waits for it: when consumers change, and at the end.
STOP_TIMEOUT = 5.0
#: Seconds between attempts to reconnect, and between questions for an outcome.
RECONNECT_PAUSE = 1.0


class State(Enum):
    """What a reader has under way."""

    IDLE = "idle"
    LOOKING = "looking"
    TAKING = "taking"
    COMMITTING = "committing"
    ASKING = "asking"


class Batch(NamedTuple):
    """What one transaction has taken."""

    transaction: int
    deliveries: list[Delivery]


class PostgresReader:
    """Reads the channels of some queues.

    Args:
        link: a connection of its own that listens to the layer's notifications.
        names: the names of the channels.
        expiry: seconds from the publishing of a message to its expiry.
        consumer: whose messages they are.
        watcher: waits for the connection's descriptor.
    """

    def __init__(
        self, link: Link, names: Names, expiry: float, consumer: Consumer, watcher: Watcher
    ) -> None:
        self._link = link
        self._names = names
        self._expiry = expiry
        self._consumer = consumer
        self._watcher = watcher
        self._lock = threading.RLock()
        self._queues: list[str] = []
        self._sources: dict[str, tuple[str, int]] = {}
        self._backlog = Backlog()
        self._pace = Pace()
        self._state = State.IDLE
        self._since = 0.0
        self._asked: list[Wanted] = []
        self._room = 0
        self._batch: Batch | None = None
        self._in_doubt: Batch | None = None
        self._next_look = 0.0
        self._next_question = 0.0
        self._next_attempt = 0.0
        self._timer_end = 0.0
        self._was_lost = False
        self._fd: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._link.is_connected

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues, and no others, from now on."""
        self.stop()
        with self._lock:
            self._queues = list(queues)
            self._sources = self._names.sources(self._queues)
            self._backlog.follow(self._sources)
            self._next_look = 0.0

    def pump(self, eager: bool = False) -> None:
        """Ask for as many messages as the consumer has room for, if nothing is under way."""
        with self._lock:
            if self._state is not State.IDLE or not self._queues or not self._ensure_connected():
                return
            now, room = monotonic(), self._consumer.room()
            if self._in_doubt is not None:
                if now >= self._next_question:
                    self._ask()
                    return
                room -= len(self._in_doubt.deliveries)
            if room <= 0:
                return
            if now >= self._next_look:
                self._look()
            elif self._backlog and (eager or not self._must_pause(room, now)):
                self._take(room)

    def on_readable(self) -> None:
        """Take answers and notifications from the socket and hand over what they bring."""
        with self._lock:
            deliveries = self._receive()
        self._consumer.arrived(deliveries)

    def tick(self) -> None:
        """Give up a connection whose answer is overdue, and look if it is time for that."""
        with self._lock:
            # An answer that has come is not overdue, however late this process is to read it.
            is_late = self._state is not State.IDLE and monotonic() > self._since + DEAD_AFTER
            if is_late and not self._link.readable():
                self._lose(LayerUnreachable("no answer in time"))
        self.pump(eager=True)

    def stop(self) -> None:
        """Stop reading; what is under way is handed to the consumer."""
        with self._lock:
            deliveries = self._finish()
            if self._in_doubt is not None and self._ensure_connected():
                self._ask()
                deliveries += self._finish()
            self._queues = []
        if deliveries:
            self._consumer.arrived(deliveries)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        with self._lock:
            self._disconnect()

    # Requests

    def _ask(self) -> None:
        assert self._in_doubt is not None
        self._send(State.ASKING, Request(OUTCOME, (self._in_doubt.transaction,)))

    def _look(self) -> None:
        look = Request(LOOK, (list(self._sources),))
        if uniform(0, SWEEP_EVERY) < 1:
            self._send(State.LOOKING, Request(SWEEP), look)
        else:
            self._send(State.LOOKING, look)

    def _take(self, room: int) -> None:
        if len(self._queues) > 1:  # no queue is first among its equals for ever
            self._queues.append(self._queues.pop(0))
            self._sources = self._names.sources(self._queues)
        self._room = room
        self._asked = self._backlog.begin(self._sources)
        channels, lowest = zip(*self._asked, strict=True)
        self._send(State.TAKING, Request(TAKE, (channels, lowest, room)))

    def _send(self, state: State, *requests: Request) -> None:
        self._state = state
        self._since = monotonic()
        try:
            self._link.send(*requests, commit=state is not State.TAKING)
        except LayerUnreachable as exc:
            self._lose(exc)

    def _must_pause(self, room: int, now: float) -> bool:
        if not self._watcher.has_hub:
            return False
        seconds = max(self._consumer.linger(room), self._pace.pause(now))
        if seconds > 0 and now >= self._timer_end:
            self._timer_end = now + seconds
            self._watcher.call_later(seconds, self._end_of_pause)
        return seconds > 0

    def _end_of_pause(self) -> None:
        self.pump(eager=True)

    # Answers

    def _receive(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        try:
            if self._link.is_connected:
                for answer in self._link.receive():
                    deliveries += self._answered(answer)
                self._hear()
        except TransportError as exc:
            self._lose(exc)
        return deliveries

    def _hear(self) -> None:
        had_nothing = not self._backlog
        for payload in self._link.notifications():
            # "id:channel", and behind it ":message:expiry" if the message is small.
            message_id, channel = payload.split(b":", 2)[:2]
            self._backlog.note(channel.decode(), int(message_id))
        if had_nothing and self._backlog and self._state is State.IDLE:
            holding = self._consumer.room() < self._consumer.window()
            self._pace.woken(monotonic(), holding)

    def _answered(self, answer: PGresult) -> list[Delivery]:
        if answer.status == ExecStatus.PIPELINE_SYNC:
            return self._done()
        if self._state is State.TAKING:
            self._taken(list(taken(answer)))
        elif self._state is State.ASKING:
            return self._told(committed(answer))
        elif answer.status == ExecStatus.TUPLES_OK:
            for channel, message_id in lowest_ids(answer):
                self._backlog.note(channel, message_id)
        return []

    def _taken(self, found: list[Taken]) -> None:
        rank = {wanted.channel: index for index, wanted in enumerate(self._asked)}
        found.sort(key=lambda one: (rank[one.channel], one.id))
        self._pace.answered(bool(found))
        highest = {one.channel: one.id for one in found}
        self._backlog.end(self._asked, highest, enough=len(found) == self._room)
        if found:
            self._batch = Batch(found[0].transaction, [self._delivery(one) for one in found])
        self._state = State.COMMITTING
        self._link.commit()

    def _done(self) -> list[Delivery]:
        state, self._state = self._state, State.IDLE
        if state is State.LOOKING:
            now = monotonic()
            self._next_look = now + max(LOOK_EVERY, LOOK_SHARE * (now - self._since))
        batch, self._batch = self._batch, None
        return batch.deliveries if batch is not None else []

    def _told(self, is_ours: bool | None) -> list[Delivery]:
        if is_ours is None:  # the server has not noticed the end of that connection yet
            self._next_question = monotonic() + RECONNECT_PAUSE
            return []
        batch, self._in_doubt = self._in_doubt, None
        return batch.deliveries if batch is not None and is_ours else []

    def _delivery(self, found: Taken) -> Delivery:
        queue, priority = self._sources[found.channel]
        age = self._expiry - found.remaining
        return Delivery(queue, priority, found.content, (found.id, found.expire), age)

    def _finish(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        deadline = monotonic() + STOP_TIMEOUT
        while self._state is not State.IDLE:
            if self._link.readable(deadline - monotonic()):
                deliveries += self._receive()
            else:
                self._lose(LayerUnreachable("no answer in time"))
        return deliveries

    # The connection

    def _ensure_connected(self) -> bool:
        if self._link.is_connected:
            return True
        if monotonic() < self._next_attempt:
            return False
        try:
            self._link.connect()
        except TransportError as exc:
            self._lose(exc)
            return False
        self._fd = self._link.fileno()
        self._watcher.watch(self._fd, self.on_readable)
        if self._was_lost:
            logger.info(
                "The connection to the channel layer is back; consuming %s.",
                ", ".join(self._queues),
            )
        self._was_lost, self._next_attempt, self._next_look = False, 0.0, 0.0
        return True

    def _lose(self, exc: TransportError) -> None:
        if not self._was_lost:
            logger.warning(
                "The connection to the channel layer is lost and will be made anew: %s", exc
            )
        if self._state is State.COMMITTING:
            self._in_doubt = self._batch
        elif self._state is State.ASKING and not isinstance(exc, LayerUnreachable):
            # A server that was restored from a copy, say, does not know the transaction.
            logger.error("Messages may be lost, their server does not tell what became of them.")
            self._in_doubt = None
        self._was_lost = True
        self._disconnect()
        # The first attempt is made at once, the next ones with a pause.
        self._next_attempt = monotonic() + (RECONNECT_PAUSE if self._next_attempt else 0.0)

    def _disconnect(self) -> None:
        if self._fd is not None:
            self._watcher.unwatch(self._fd)
            self._fd = None
        self._link.close()
        self._state, self._batch = State.IDLE, None
