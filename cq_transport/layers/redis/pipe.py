"""Requests to one Redis host whose answers may be read later.

Every request is kept until its answer is known. When the connection is lost, what is not answered
is sent again on a new one, in order; the scripts note what they have accepted, which keeps that
from storing a message twice. Threads share a pipe: one writes while another reads, and whoever
waits reads the answers of the others on the way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from redis.exceptions import NoScriptError

from cq_transport.errors import LayerUnreachable
from cq_transport.forks import reset_in_children
from cq_transport.layers.redis import scripts
from cq_transport.layers.redis.link import Link

#: Requests without an answer beyond which the next one waits.
MAX_PENDING = 1000
#: Requests without an answer beyond which what is not worth waiting for is dropped.
MAX_OFFERED = 500
#: Seconds that a message which is not worth waiting for waits for another thread to write.
OFFER_TIMEOUT = 0.002
#: Seconds after a failed attempt to connect in which no other is made: callers fail at once.
RECONNECT_PAUSE = 0.25


class Request:
    """A command that was sent, and its answer once it is there."""

    __slots__ = ("answer", "done", "packed", "sent_at")

    def __init__(self, packed: Any) -> None:
        self.packed = packed
        self.answer: Any = None
        self.done = False
        self.sent_at = monotonic()

    def answered(self, answer: Any) -> None:
        """Take the answer."""
        self.answer, self.done = answer, True

    def lost(self) -> None:
        """Get ready to be sent again, after a connection broke before the answer."""


class Pipe:
    """A pipelined connection to one host.

    Args:
        make_connection: makes a redis-py connection.
        timeout: seconds after which an unanswered request means that the connection is dead.
    """

    def __init__(self, make_connection: Callable[[], Any], timeout: float) -> None:
        self._link = Link(make_connection)
        self._timeout = timeout
        self._begin()
        reset_in_children(self)

    def _begin(self) -> None:
        # Order: reading before writing. Whoever reconnects holds both.
        self._reading = threading.RLock()
        self._writing = threading.RLock()
        self._pending: deque[Request] = deque()
        self._next_attempt = 0.0
        self._connections = 0
        self.last_answer = 0.0

    def reset_after_fork(self) -> None:
        """Begin anew in a child; the parent's connection and requests stay the parent's."""
        self._begin()
        self._link.close()

    @property
    def pending(self) -> int:
        """The number of requests without an answer."""
        return len(self._pending)

    def connect(self) -> None:
        """Make sure that there is a connection, without looking at its health.

        Raises:
            LayerUnreachable: the host does not answer.
        """
        if not self._link.is_connected:
            with self._reading, self._writing:
                if not self._link.is_connected:
                    self._reconnect()

    def pack(self, *command: Any) -> Any:
        """Return ``command`` in Redis' protocol."""
        return self._link.pack(*command)

    def submit(self, request: Request) -> None:
        """Send ``request``; its answer is read later.

        Raises:
            LayerUnreachable: it could not be sent, and will not be.
        """
        if len(self._pending) >= MAX_PENDING:
            self._make_room()
        if not self._pending:
            self._notice_end()
        with self._writing:
            request.sent_at, connection = monotonic(), self._connections
            self._pending.append(request)
            with suppress(LayerUnreachable):
                self._link.write(request.packed)
                return
        try:
            self._recover(request, connection)
        except LayerUnreachable:
            self._give_up(request)
            raise

    def post(self, request: Request) -> None:
        """Send ``request`` now, or when the host is back: until it is answered, ``nurse`` looks
        after it.
        """
        with self._writing, suppress(LayerUnreachable):
            request.sent_at = monotonic()
            self._pending.append(request)
            self._link.write(request.packed)

    def offer(self, request: Request) -> bool:
        """Post ``request`` unless the host is slow or away; tell whether it was posted."""
        if len(self._pending) >= MAX_OFFERED or not self._writing.acquire(timeout=OFFER_TIMEOUT):
            return False
        try:
            self.post(request)
        finally:
            self._writing.release()
        return True

    def wait(self, request: Request) -> Any:
        """Return the answer to ``request``.

        Whether a request whose answer was lost was carried out is in doubt: asking once more, on
        one new connection after the other, resolves that, giving up does not.

        Raises:
            LayerUnreachable: there is no answer; the request is given up.
        """
        silent_at = monotonic() + self._timeout
        give_up_at = silent_at + self._timeout
        while not request.done:
            with self._reading:
                if request.done:
                    break
                connection = self._connections
                try:
                    self._read_before(silent_at)
                    continue
                except LayerUnreachable:
                    is_silent = monotonic() >= silent_at
                    if self._is_renewed(request, connection, is_silent, give_up_at):
                        silent_at = monotonic() + self._timeout
                        continue
            sleep(RECONNECT_PAUSE)
        return request.answer

    def _is_renewed(
        self, request: Request, connection: int, is_silent: bool, give_up_at: float
    ) -> bool:
        try:
            if monotonic() >= give_up_at:
                raise LayerUnreachable("the channel layer's Redis does not answer")
            self._recover(request, connection)
            return True
        except LayerUnreachable:
            if is_silent or monotonic() >= give_up_at - self._timeout:
                self._disconnect()
                self._give_up(request)
                raise
            return False

    def call(self, *command: Any) -> Any:
        """Send ``command`` and return its answer.

        Raises:
            LayerUnreachable: there is none.
            redis.exceptions.ResponseError: the server refuses it.
        """
        return self.call_all([command])[0]

    def call_all(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one round trip and return their answers; raises like ``call``."""
        requests = [Request(self.pack(*command)) for command in commands]
        for request in requests:
            self.submit(request)
        answers = [self.wait(request) for request in requests]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def poll(self) -> None:
        """Read the answers that have come, without waiting; whoever waits sees the losses."""
        if not self._pending or not self._reading.acquire(blocking=False):
            return
        try:
            while self._pending and self._link.is_connected and self._link.readable():
                self._read_one()
        except LayerUnreachable:
            pass
        finally:
            self._reading.release()

    def nurse(self) -> None:
        """Do for requests that nobody waits for what a waiting caller would do: read, or reconnect
        and send again.

        Raises:
            LayerUnreachable: the layer is away; what is pending stays pending.
        """
        self.poll()
        with self._reading, self._writing:
            if not self._pending:
                return
            overdue = monotonic() - self._pending[0].sent_at > self._timeout
            if overdue or not self._link.is_connected:
                self._reconnect()

    def close(self) -> None:
        """Close the connection and give up what is pending."""
        with self._reading, self._writing:
            self._pending.clear()
            self._link.close()

    def _make_room(self) -> None:
        # The requests under way are others': if they cannot be answered, they stay.
        deadline = monotonic() + self._timeout
        while len(self._pending) >= MAX_PENDING:
            with self._reading:
                if len(self._pending) < MAX_PENDING:
                    return
                try:
                    self._read_before(deadline)
                except LayerUnreachable:
                    if monotonic() > deadline:
                        self._disconnect()
                        raise
                    self._reconnect()

    def _read_before(self, deadline: float) -> None:
        if not self._link.readable(max(0.0, deadline - monotonic())):
            raise LayerUnreachable("the channel layer's Redis does not answer")
        self._read_one()

    def _disconnect(self) -> None:
        with self._reading, self._writing:
            self._link.close()

    def _notice_end(self) -> None:
        # Where nothing was asked, the only thing to read is the end of the connection.
        if self._reading.acquire(blocking=False):
            try:
                with self._writing:
                    if not self._pending and self._link.is_connected and self._link.readable():
                        self._link.close()
            finally:
                self._reading.release()

    def _read_one(self) -> None:
        answer = self._link.read()
        request = self._pending.popleft()
        self.last_answer = monotonic()
        if isinstance(answer, NoScriptError):
            self._load_scripts_and_repeat(request)
            return
        request.answered(answer)

    def _load_scripts_and_repeat(self, request: Request) -> None:
        with self._writing:
            request.sent_at = monotonic()
            self._pending.extend(Request(None) for _ in scripts.ALL)
            self._pending.append(request)  # before anything is written, for that may fail
            for script in scripts.ALL:
                self._link.write(self._link.pack("SCRIPT", "LOAD", script.source))
            self._link.write(request.packed)

    def _recover(self, request: Request, connection: int) -> None:
        with self._reading, self._writing:
            if request.done or connection != self._connections:
                return  # another thread was quicker, and has sent the request again
            self._reconnect()

    def _give_up(self, request: Request) -> None:
        with suppress(ValueError):
            self._pending.remove(request)

    def _reconnect(self) -> None:
        with self._writing:
            if monotonic() < self._next_attempt:
                raise LayerUnreachable("the channel layer's Redis was unreachable a moment ago")
            self._resend_on_new_connection()

    def _resend_on_new_connection(self) -> None:
        started = monotonic()
        try:
            self._link.connect()
            self._connections += 1
            self.last_answer = 0.0  # whoever publishes next waits, and sees that it works
            pending = [request for request in self._pending if request.packed is not None]
            self._pending.clear()
            self._pending.extend(pending)
            now = monotonic()
            for request in pending:
                request.sent_at = now
                request.lost()
                self._link.write(request.packed)
        except LayerUnreachable:
            # As long as the attempt took: the event loop must not spend its life on a frozen host.
            self._next_attempt = monotonic() + max(RECONNECT_PAUSE, monotonic() - started)
            raise
