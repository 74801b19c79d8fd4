"""Sends what was recorded, once it is committed.

A thread of the process gives each message to the layer at once, and notes a moment later that they
were sent, many at a time: a worker that has claimed a task meanwhile has noted it with the claim.
Nobody waits for it: a message that does not get away, because the layer is full or gone or the
process dies, is sent by a keeper.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import NamedTuple

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.mirror import PublishingMirror
from cq_compat.signals import facts_of, task_kept
from cq_transport.errors import TransportError
from cq_transport.exits import at_exit, start
from cq_transport.forks import reset_in_children
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)

#: Most messages sent between two notes.
BATCH = 200
#: Most seconds between a message and its note: few beside ``PUBLISHER_TIME``, after which a keeper
#: takes a message that is not noted for one that was not sent.
NOTE_AFTER = 0.1
#: Seconds that the layer has to accept a batch.
ACCEPT_TIMEOUT = 5.0
#: Messages that wait for the thread; further ones are left to the keeper.
LIMIT = 50_000
#: Seconds that the end of a process is held up for messages that wait.
EXIT_TIMEOUT = 5.0


class Waiting(NamedTuple):
    """A committed message that is to be sent."""

    task_id: str
    run: int
    message: Outgoing
    layer: TaskLayer


class Outbox:
    """The messages of this process that are committed, and not sent or not noted yet."""

    def __init__(self) -> None:
        self._connection = OwnConnection()
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin empty in a child: the parent sends what is the parent's."""
        self._waiting: deque[Waiting] = deque()
        self._sent: list[Waiting] = []
        self._sent_since = 0.0
        self._hurried = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._failing = False
        self._known: set[tuple[int, str]] = set()

    def put(self, waiting: Waiting) -> None:
        """Send a message soon."""
        if refusal := self._put(waiting):
            _tell_kept([waiting], refusal)

    def _put(self, waiting: Waiting) -> str | None:
        with self._changed:
            if len(self._waiting) >= LIMIT:
                return "TooMany"
            if not self._start():
                return "TooLate"
            self._waiting.append(waiting)
            self._changed.notify_all()
        return None

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent and noted; tell whether that was within ``timeout`` seconds."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(self._is_done, timeout)
            finally:
                self._hurried -= 1

    def _is_done(self) -> bool:
        return not (self._waiting or self._sent or self._busy)

    def _start(self) -> bool:
        if self._thread is None:
            self._thread = start(self._run, "cq-outbox")
            if self._thread is not None:
                at_exit(self._at_exit, priority=30)
        return self._thread is not None

    def _at_exit(self) -> None:
        self.flush(EXIT_TIMEOUT)

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            try:
                self._send(batch)
            except Exception as exc:  # the next batch needs this thread; a keeper sends the rest
                self._note_failure(exc, batch)
            try:
                self._note()
            except Exception as exc:
                self._note_failure(exc, self._sent)
                self._sent = []
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next_batch(self) -> deque[Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._must_note(), self._pause())
            self._busy = True
            count = min(BATCH - len(self._sent), len(self._waiting))
            return deque(self._waiting.popleft() for _ in range(count))

    def _pause(self) -> float | None:
        if not self._sent:
            return None
        return max(0.0, self._sent_since + NOTE_AFTER - monotonic())

    def _must_note(self) -> bool:
        return bool(self._sent) and (self._hurried > 0 or self._pause() == 0.0)

    def _send(self, batch: deque[Waiting]) -> None:
        while batch:
            if not self._sent:
                self._sent_since = monotonic()
            self._introduce(batch[0])
            batch[0].message.send(batch[0].layer)
            self._sent.append(batch.popleft())

    def _note(self) -> None:
        if not (self._must_note() or len(self._sent) >= BATCH):
            return
        for layer in {id(waiting.layer): waiting.layer for waiting in self._sent}.values():
            layer.flush(ACCEPT_TIMEOUT)
        self._failing = False
        sent = [(waiting.task_id, waiting.run) for waiting in self._sent]
        PublishingMirror(self._connection).mark_sent(sent, ago=monotonic() - self._sent_since)
        self._sent = []

    def _introduce(self, waiting: Waiting) -> None:
        # A publisher's declarations wait until here, so that it need not wait for the layer.
        message, layer = waiting.message, waiting.layer
        name = message.exchange or message.routing_key
        if (id(layer), name) in self._known:
            return
        bound = [found.queue for found in layer.topology.bindings() if found.exchange == name]
        layer.renew(bound or [name])
        self._known.add((id(layer), name))

    def _note_failure(self, exc: Exception, batch: Iterable[Waiting]) -> None:
        _tell_kept(batch, type(exc).__name__)
        if not self._failing:
            self._failing = True
            logger.warning(
                "Tasks are recorded and will be sent by a worker's keeper: %s",
                exc,
                exc_info=None if isinstance(exc, TransportError) else exc,
            )


def _tell_kept(batch: Iterable[Waiting], reason: str) -> None:
    if task_kept.is_heard:
        for waiting in batch:
            task_kept.tell(**facts_of(waiting.message.envelope), reason=reason)


outbox = Outbox()
