"""The thread that writes what was seen."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from django.db import DatabaseError, ProgrammingError
from kombu.log import get_logger

from cq_compat.database import LOST, OwnConnection
from cq_compat.keeper.duty import Duty
from cq_compat.mirror.observing import ObservingMirror
from cq_compat.sightings import Sighting, fold
from cq_transport.exits import at_exit
from cq_transport.forks import reset_in_children

logger = get_logger(__name__)

#: Seconds between two writes at least: of many sightings, those of a task become one write.
LINGER = 0.1
#: Sightings written together.
BATCH = 1000
#: Weight of the sightings that wait; further ones are dropped.
LIMIT = 50_000
#: Seconds between two attempts while the database does not take them, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: Seconds that the end of a process is held up for what waits.
EXIT_TIMEOUT = 5.0
#: What a database raises that is away, or has no table yet.
AWAY = (*LOST, ProgrammingError)


class Rows(Protocol):
    """Where sightings are written."""

    def observe(self, seen: Sequence[Sighting]) -> None:
        """Write them, one of each task, in the order of their ids."""


class Writer:
    """Takes sightings at once and writes them soon; a process has one.

    Args:
        connection: where a writer without ``rows`` writes.
    """

    def __init__(self, connection: OwnConnection, rows: Rows | None = None) -> None:
        self._connection = connection
        self._given = rows
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin empty in a child: the parent writes what the parent has seen."""
        self._rows = self._given
        self._waiting: deque[Sighting] = deque()
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._batch: list[Sighting] = []
        self._weight = 0
        self._duty: Duty | None = None
        self._next_duty = 0.0
        self._next_write = 0.0
        self._failing = False
        #: How many sightings were not written.
        self.dropped = 0

    def put(self, seen: Sighting) -> None:
        """Write a sighting soon; it is dropped where too many wait."""
        with self._changed:
            if self._weight >= LIMIT:
                self._drop()
                return
            self._weight += seen.weight
            self._waiting.append(seen)
            self._start()
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def look_after(self, duty: Duty | None) -> None:
        """Do a duty beside the writing, from now on; ``None`` ends the one before."""
        with self._changed:
            self._duty, self._next_duty = duty, 0.0
            if duty is not None:
                self._start()
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all is written, unless the database is away; tell whether it is."""
        self._hurry.set()
        try:
            with self._changed:
                return self._changed.wait_for(self._is_idle, timeout) and not self._is_late
        finally:
            self._hurry.clear()

    def close(self) -> None:
        """End the thread, and forget what it has not written; a later sighting starts another."""
        with self._changed:
            thread = self._thread
            self._stopped.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(EXIT_TIMEOUT)
        self._connection.close()
        self.reset_after_fork()

    @property
    def _is_late(self) -> bool:
        return bool(self._waiting or self._batch)

    def _is_idle(self) -> bool:
        return self._failing or not self._is_late

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cq-observer", daemon=True)
            self._thread.start()
            at_exit(self._at_exit)

    def _at_exit(self) -> None:
        if not self.flush(EXIT_TIMEOUT):
            left = len(self._waiting) + len(self._batch) + self.dropped
            logger.warning("What was seen of tasks ends unwritten with this process: %d.", left)

    # The thread

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                self._turn()
                pause = FIRST_PAUSE
            except Exception as exc:  # what was taken waits, and the next turn begins with it
                self._note_failure(exc)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _turn(self) -> None:
        if not self._batch:
            self._wait()
            self._take()
        if self._batch:
            self._write(fold(self._batch))
            self._done()
        self._do_duty()
        self._recover()

    def _wait(self) -> None:
        with self._changed:
            if not self._waiting and not self._stopped.is_set():
                self._changed.wait(self._until_duty())
        if self._waiting:
            self._hurry.wait(max(0.0, self._next_write - monotonic()))

    def _take(self) -> None:
        with self._changed:
            self._batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _done(self) -> None:
        with self._changed:
            self._weight -= sum(seen.weight for seen in self._batch)
            self._batch = []
            self._next_write = monotonic() + LINGER
            self._changed.notify_all()

    def _write(self, seen: list[Sighting]) -> None:
        try:
            self._observe(seen)
        except AWAY:
            raise
        except Exception as exc:
            if len(seen) > 1:  # one of them cannot be written; the others can
                for one in seen:
                    self._write([one])
                return
            self._connection.close()
            with self._changed:
                self._drop(exc)

    def _observe(self, seen: list[Sighting]) -> None:
        try:
            self._table().observe(seen)
        except LOST:  # a connection that has idled may have been cut
            self._connection.close()
            self._table().observe(seen)

    def _table(self) -> Rows:
        if self._rows is None:
            self._rows = ObservingMirror(self._connection)
        return self._rows

    def _until_duty(self) -> float | None:
        return None if self._duty is None else max(0.0, self._next_duty - monotonic())

    def _do_duty(self) -> None:
        duty = self._duty
        if duty is not None and monotonic() >= self._next_duty:
            duty.run_once()
            self._next_duty = monotonic() + duty.interval

    # What went wrong, said once

    def _drop(self, exc: Exception | None = None) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning(
                "Something seen of a task is not written, and further ones are only counted: %s",
                exc or "too many wait for the database",
                exc_info=None if isinstance(exc, DatabaseError) else exc,
            )

    def _note_failure(self, exc: Exception) -> None:
        self._connection.close()
        if not self._failing:
            self._failing = True
            logger.warning(
                "The rows of tasks are not written at present, and nothing else suffers: %s",
                exc,
                exc_info=None if isinstance(exc, DatabaseError) else exc,
            )
        with self._changed:  # whoever flushes need not wait any longer
            self._changed.notify_all()

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            logger.info("The rows of tasks are written again; %d were dropped.", self.dropped)
            self.dropped = 0
