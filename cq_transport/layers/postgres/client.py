"""The connection of one process that publishes and asks, shared by its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, TypeVar

from psycopg.pq.abc import PGresult

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.forks import reset_in_children
from cq_transport.layers.postgres.link import Link, Parameter, Request
from cq_transport.layers.postgres.rows import Taken, committed, integers, taken
from cq_transport.layers.postgres.statements import OUTCOME, PUT, PUT_ONCE, TAKE, Statement

#: Seconds after a failed attempt to connect in which no other is made: callers fail at once.
RECONNECT_PAUSE = 0.25
#: Seconds that statements may take which go through a whole queue.
PATIENCE = 60.0

T = TypeVar("T")


class Client:
    """Asks one question at a time, and repeats it once if the connection was lost.

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
        self._last_id = 0

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

    def put(self, channels: Sequence[str], message: bytes, expiry: float) -> None:
        """Store a message in each of ``channels``, for ``expiry`` seconds; raises like ``ask``."""
        plain = Request(PUT, (channels, message, expiry))

        def attempt(deadline: float, again: bool) -> None:
            once = Request(PUT_ONCE, (channels, message, expiry, self._last_id))
            (answer,) = self._answers([once if again else plain], deadline)
            self._last_id = max([self._last_id, *integers(answer)])

        self._until_answered(attempt)

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
        except LayerUnreachable:
            self._next_attempt = monotonic() + RECONNECT_PAUSE
            raise
