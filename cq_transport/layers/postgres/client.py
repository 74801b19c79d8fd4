"""The connection of one process that publishes and asks, shared by its threads.

When the connection is lost, whether the request under way was carried out is in doubt. It may even
be carried out later: the server reads what had reached it, and commits, after the client has
noticed. So each session holds the client's lock; the next one ends its forerunner, and asks nothing
before the lock is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import uuid4

from psycopg.pq.abc import PGresult

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.forks import reset_in_children
from cq_transport.layers.postgres.link import Link, Parameter, Request
from cq_transport.layers.postgres.rows import Taken, committed, integers, taken
from cq_transport.layers.postgres.statements import (
    END_SESSIONS,
    LOCK_SESSION,
    NOTE,
    NOTED,
    OUTCOME,
    TAKE,
    Statement,
)

#: Seconds after a failed attempt to connect in which no other is made: callers fail at once.
RECONNECT_PAUSE = 0.25
#: Seconds that statements may take which go through a whole queue.
PATIENCE = 60.0
#: Notes after which a sender begins another row: one whose old versions cannot be removed for the
#: time being gets slow.
NOTES_IN_A_ROW = 1000

T = TypeVar("T")

_HALF = 0x7FFFFFFF  # each half of a lock is a positive int4


class Client:
    """Asks one question at a time, and repeats it on a new connection if the answer was lost.

    Args:
        parameters: what psycopg connects with.
        timeout: seconds after which an unanswered database counts as unreachable.
    """

    def __init__(self, parameters: Mapping[str, Any], timeout: float) -> None:
        self._link = Link(parameters, timeout)
        self._timeout = timeout
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin anew in a child."""
        self._lock = threading.Lock()
        self._next_attempt = 0.0
        name = uuid4()
        self._name = f"cq._s{name.hex}"  # no queue's channel has such a name
        self._locks = (name.int & _HALF, name.int >> 64 & _HALF)
        self._number = self._note = 0

    def ask(
        self, statement: Statement, *parameters: Parameter, timeout: float | None = None
    ) -> PGresult:
        """Return the answer to one statement.

        Raises:
            LayerUnreachable: there is none within ``timeout`` seconds, even on a new connection.
            LayerMisconfigured: the layer's tables are missing.
            TransportError: the server refuses it.
        """
        return self.ask_all([Request(statement, parameters)], timeout)[0]

    def ask_all(self, requests: Sequence[Request], timeout: float | None = None) -> list[PGresult]:
        """Send requests in one round trip and one transaction and return their answers; raises like
        ``ask``.
        """
        return self._until_answered(
            lambda deadline, again: self._answers(requests, deadline), timeout
        )

    def do_once(self, statement: Statement, *parameters: Parameter) -> None:
        """Have a statement carried out that must not be repeated, whatever its answer's fate and
        whoever has taken since what it stored; raises like ``ask``.
        """
        request = Request(statement, parameters)
        self._until_answered(lambda deadline, again: self._do_once(request, deadline, again))

    def take(self, channels: Sequence[str]) -> Taken | None:
        """Take the first message of ``channels``, most urgent first, without waiting; raises like
        ``ask``.
        """
        return self._until_answered(lambda deadline, again: self._take(channels, deadline))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._link.close()

    def _take(self, channels: Sequence[str], deadline: float) -> Taken | None:
        # Until it is known that the message is taken for good, it is not ours.
        self._link.send(Request(TAKE, (channels, [0] * len(channels), 1)), commit=False)
        found = next(taken(self._link.wait(deadline)[0]), None)
        try:
            self._link.commit()
            self._link.wait(deadline)
        except LayerUnreachable:
            if found is None:
                raise
            self._connect()
            outcome = self._answers([Request(OUTCOME, (found.transaction,))], deadline)[0]
            if not committed(outcome):
                raise
        return found

    def _do_once(self, request: Request, deadline: float, again: bool) -> None:
        if again and self._is_noted(deadline):
            return
        if not again:
            self._number += 1
        row = self._note if self._number % NOTES_IN_A_ROW else 0
        note = Request(NOTE, (self._name, self._number, row))
        (self._note,) = integers(self._answers([note, request], deadline)[0])

    def _is_noted(self, deadline: float) -> bool:
        question = Request(NOTED, (self._name, self._number, self._note))
        notes = integers(self._answers([question], deadline)[0])
        if notes:
            (self._note,) = notes
        return bool(notes)

    def _answers(self, requests: Sequence[Request], deadline: float) -> list[PGresult]:
        self._link.send(*requests)
        return self._link.wait(deadline)

    def _until_answered(
        self, attempt: Callable[[float, bool], T], timeout: float | None = None
    ) -> T:
        """Return ``attempt(deadline, again)``. Whether a request whose answer was lost was carried
        out is in doubt: it is asked again, on one new connection after the other.
        """
        deadline = monotonic() + (self._timeout if timeout is None else timeout)
        with self._held(), self._undisturbed():
            self._ensure_connected()
            again = False
            while True:
                try:
                    if again:
                        self._connect()
                    return attempt(deadline, again)
                except LayerUnreachable:
                    self._link.close()
                    if monotonic() >= deadline:
                        raise
                if again:
                    sleep(RECONNECT_PAUSE)
                again = True

    @contextmanager
    def _held(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._timeout):
            raise LayerUnreachable("the connection to the channel layer's PostgreSQL is busy")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        # Whatever goes wrong, be it a task's time limit: half an answer is not kept.
        try:
            yield
        except BaseException:
            self._link.close()
            raise

    def _ensure_connected(self) -> None:
        if self._link.is_connected and self._link.readable():
            # Where nothing was asked, there is little to read but the end of the connection.
            try:
                self._link.receive()
            except TransportError:
                self._link.close()
        if not self._link.is_connected:
            self._connect()

    def _connect(self) -> None:
        if monotonic() < self._next_attempt:
            raise LayerUnreachable("the channel layer's PostgreSQL was unreachable a moment ago")
        try:
            self._link.connect()
            locks = [Request(END_SESSIONS, self._locks), Request(LOCK_SESSION, self._locks)]
            self._answers(locks, monotonic() + self._timeout)
        except LayerUnreachable:
            self._link.close()
            self._next_attempt = monotonic() + RECONNECT_PAUSE
            raise
