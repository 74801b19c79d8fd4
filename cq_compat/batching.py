"""Threads that write, in batches, what a process has to say: nobody waits, and nothing fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, Protocol, TypeVar

from django.db import DatabaseError, ProgrammingError
from kombu.log import get_logger

from cq_compat.database import LOST, OwnConnection
from cq_compat.dialects import is_locked
from cq_transport.exits import at_exit, start
from cq_transport.forks import reset_in_children

logger = get_logger(__name__)
Item = TypeVar("Item")

#: Seconds between two attempts while the database does not take them, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: Seconds between two attempts while another process writes to SQLite, which itself has waited.
LOCK_PAUSE = 0.05
#: Seconds that the end of a process is held up for what waits.
EXIT_TIMEOUT = 5.0
#: What a database raises that is away, or has no table yet.
AWAY = (*LOST, ProgrammingError)


class Backlog(Protocol[Item]):
    """Items that wait, within bounds."""

    def put(self, item: Item) -> int:
        """Take an item; return for how many there was no room."""

    def take(self, most: int) -> list[Item]:
        """Give items away, which count until they are ``done``."""

    def done(self, items: Sequence[Item]) -> None:
        """Forget items that were taken."""

    def __len__(self) -> int:
        """Return how many wait."""


class BatchWriter(Generic[Item]):
    """Takes items at once and writes them soon; a process has one of each kind.

    Args:
        connection: on which they are written.
    """

    #: The name of the thread.
    name = "cq-writer"
    #: What it writes, in the words of the log.
    topic = "what tasks do"
    #: Seconds between two writes at least: what is condensed meanwhile is one write.
    linger = 0.1
    #: Items written together.
    most = 1000

    def __init__(self, connection: OwnConnection) -> None:
        self._connection = connection
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin empty in a child: the parent writes what is the parent's."""
        self._backlog = self._empty()
        self._changed = threading.Condition()
        self._hurried = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._batch: list[Item] = []
        self._next_write = 0.0
        self._failing = False
        #: How many items were not written.
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Write an item soon; some are dropped where too many wait."""
        with self._changed:
            if not self._start():
                self._drop(1, RuntimeError("the process ends"))
                return
            was_empty = not self._backlog
            dropped = self._backlog.put(item)
            if dropped:
                self._drop(dropped)
            if was_empty:
                self._changed.notify_all()

    def flush(self, timeout: float, is_late: Callable[[], bool] | None = None) -> bool:
        """Wait until all is written, unless the database is away; tell whether it is.

        Args:
            is_late: tells whether what the caller waits for is not; all, if it is not given.
        """
        late = is_late or self._is_late
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._failing or not late(), timeout)
                return not late()
            finally:
                self._hurried -= 1

    def close(self) -> None:
        """End the thread, and forget what it has not written; a later item starts another."""
        with self._changed:
            thread = self._thread
            self._stopped.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(EXIT_TIMEOUT)
        self._connection.close()
        self.reset_after_fork()

    # What is written, and how

    def _empty(self) -> Backlog[Item]:
        raise NotImplementedError

    def _condense(self, batch: list[Item]) -> list[Item]:
        return batch

    def _write(self, items: list[Item]) -> None:
        raise NotImplementedError

    # What is done beside it

    def _pause(self) -> float | None:
        """Return the seconds until there is something to do beside the writing."""
        return None

    def _beside(self) -> None:
        """Do it."""

    # The thread

    def _start(self) -> bool:
        if self._thread is None:
            self._thread = start(self._run, self.name)
            if self._thread is not None:
                at_exit(self._at_exit)
        return self._thread is not None

    def _at_exit(self) -> None:
        if not self.flush(EXIT_TIMEOUT):
            left = len(self._backlog) + len(self._batch) + self.dropped
            logger.warning("A part of %s ends unwritten with this process: %d.", self.topic, left)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                self._turn()
                pause = FIRST_PAUSE
            except Exception as exc:  # what was taken waits, and the next turn begins with it
                if is_locked(exc):  # another process writes, and will have written
                    self._stopped.wait(LOCK_PAUSE)
                    continue
                self._note_failure(exc)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _turn(self) -> None:
        if not self._batch:
            self._take()
        if self._batch:
            self._write_each(self._condense(self._batch))
            self._done()
        self._beside()
        self._recover()

    def _take(self) -> None:
        with self._changed:
            if not self._backlog and not self._stopped.is_set():
                self._changed.wait(self._pause())
            if self._backlog:
                self._changed.wait_for(self._must_hurry, max(0.0, self._next_write - monotonic()))
                self._batch = self._backlog.take(self.most)

    def _must_hurry(self) -> bool:
        return bool(self._hurried) or self._stopped.is_set()

    def _done(self) -> None:
        with self._changed:
            self._backlog.done(self._batch)
            self._batch = []
            self._next_write = monotonic() + self.linger
            self._changed.notify_all()

    def _write_each(self, items: list[Item]) -> None:
        try:
            self._write_all(items)
        except AWAY:
            raise
        except Exception as exc:
            if len(items) > 1:  # one of them cannot be written; the others can
                for one in items:
                    self._write_each([one])
                return
            self._connection.close()
            with self._changed:
                self._drop(1, exc)

    def _write_all(self, items: list[Item]) -> None:
        try:
            self._write(items)
        except LOST:  # a connection that has idled may have been cut
            self._connection.close()
            self._write(items)

    def _is_late(self) -> bool:
        return bool(self._backlog or self._batch)

    # What went wrong, said once

    def _drop(self, count: int, exc: Exception | None = None) -> None:
        is_first = not self.dropped
        self.dropped += count
        if is_first:
            logger.warning(
                "A part of %s is not written, and further parts are only counted: %s",
                self.topic,
                exc or "too much waits for the database",
                exc_info=None if isinstance(exc, DatabaseError) else exc,
            )

    def _note_failure(self, exc: Exception) -> None:
        self._connection.close()
        if not self._failing:
            self._failing = True
            logger.warning(
                "Rows are not written at present (%s), and nothing else suffers: %s",
                self.topic,
                exc,
                exc_info=None if isinstance(exc, DatabaseError) else exc,
            )
        with self._changed:  # whoever flushes need not wait any longer
            self._changed.notify_all()

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            logger.info("Rows are written again (%s); %d were dropped.", self.topic, self.dropped)
            self.dropped = 0
