"""Sends messages to the hosts of a layer, one round trip each at most.

A publisher that comes back after a pause waits for the answer, so a web request learns at once that
its queue is full or the layer is away. Within a burst it goes on without waiting, as long as the
queue is known to have room: what is not answered is kept by the pipe, and a thread (``settler``)
looks after it when the burst is over.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import deque
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from redis.exceptions import ResponseError

from cq_transport.errors import LayerFull, LayerUnreachable, TransportError
from cq_transport.forks import reset_in_children
from cq_transport.layers.redis.pipe import OFFER_TIMEOUT, Pipe, Request
from cq_transport.layers.redis.scripts import RESTORE, Script
from cq_transport.options import Options
from cq_transport.settler import settler

#: Seconds since the last answer for which a publisher counts as being in a burst.
BURST_GAP = 0.05
#: Room that a queue must have, beyond what is under way, for its publisher not to wait.
ROOM_MARGIN = 32
#: Publishes between two looks at the answers.
POLL_EVERY = 32
#: Pause in seconds between two attempts to put a message into a full queue.
FULL_PAUSE = 0.02
#: The answer of the scripts for a full queue.
FULL = -1

#: Messages whose acceptance the host notes in one key, a bit for each.
PAGE = 1024

# Where the scripts' arguments stand in "EVALSHA sha 2 key page sequence resent …".
_PAGE, _SEQUENCE, _RESENT = 4, 5, 6


class Publish(Request):
    """A publishing script on its way."""

    __slots__ = ("awaited", "command", "publisher", "room_of")

    def __init__(
        self, publisher: Publisher, room_of: str, command: list[Any], awaited: bool
    ) -> None:
        super().__init__(publisher.pipe.pack(*command))
        self.publisher = publisher
        self.room_of = room_of
        self.command = command
        self.awaited = awaited

    def answered(self, answer: Any) -> None:
        super().answered(answer)
        self.publisher.answered(self)

    def lost(self) -> None:
        self.command[_RESENT] = "1"
        self.packed = self.publisher.pipe.pack(*self.command)


class Publisher:
    """Publishes to one host.

    Args:
        pipe: the connection.
        key: makes the key under which the host notes what it has accepted of a publisher.
        options: the transport options.
    """

    def __init__(self, pipe: Pipe, key: Callable[[str], str], options: Options) -> None:
        self.pipe = pipe
        self._make_key = key
        self._options = options
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin as a publisher of its own, with nothing under way."""
        self._key = self._make_key(uuid.uuid4().hex)
        self._sequence = itertools.count(1)
        self._order = threading.RLock()
        self._room: dict[str, int] = {}
        self._refused: deque[Publish] = deque()
        self._since_poll = 0

    @property
    def unsettled(self) -> int:
        """The number of messages that the layer has not accepted yet."""
        return self.pipe.pending + len(self._refused)

    def publish(self, room_of: str, script: Script, key: str, *args: Any) -> None:
        """Run a publishing script.

        Args:
            room_of: the queue or exchange whose room the script's answer tells.
            script: ``SEND`` or ``ROUTE``.
            key: the key of the channel or of the bindings.
            args: the arguments of the script from the third on.

        Raises:
            LayerFull, LayerUnreachable: the message was not accepted.
        """
        if not self._must_wait(room_of):
            self._submit(room_of, script, key, args, awaited=False)
            settler.look_after(self)
            return
        deadline = monotonic() + self._options.full_timeout
        while self._is_full(self.pipe.wait(self._submit(room_of, script, key, args, awaited=True))):
            if monotonic() > deadline:
                raise LayerFull(
                    f"{room_of!r} is full: the channel layer's capacity is reached. "
                    "Raise 'capacity' or 'channel_capacity' in CHANNEL_LAYERS, or add workers."
                )
            sleep(FULL_PAUSE)

    def offer(self, room_of: str, script: Script, key: str, *args: Any) -> None:
        """Run a publishing script for a message that is not worth waiting for, such as an event:
        it is dropped where the host is away or does not keep up.
        """
        if not self._order.acquire(timeout=OFFER_TIMEOUT):
            return
        try:
            command = ["EVALSHA", script.sha, 2, key, "", 0, "0", *args]
            offered = self.pipe.offer(self._numbered(room_of, command, awaited=True))
        finally:
            self._order.release()
        if offered:
            settler.look_after(self)

    def restore(self, key: str, *args: Any) -> None:
        """Put a message back into the channel ``key``; it is kept until the host has it.

        Args:
            args: the arguments of ``RESTORE`` from the third on.
        """
        command = ["EVALSHA", RESTORE.sha, 2, key, "", 0, "0", *args]
        with self._order:
            self.pipe.post(self._numbered("", command, awaited=False))
        settler.look_after(self)

    def answered(self, request: Publish) -> None:
        """Learn from an answer how much room there is, and keep what was refused with nobody
        waiting.
        """
        answer = request.answer
        self._room[request.room_of] = answer if isinstance(answer, int) else 0
        if not request.awaited and (answer == FULL or isinstance(answer, Exception)):
            self._refused.append(request)

    def settle(self) -> None:
        """Look after what nobody waits for: read answers, and send again what was refused or lost.

        Raises:
            LayerUnreachable: the layer is away.
        """
        self.pipe.nurse()
        for _ in range(len(self._refused)):
            request = self._refused.popleft()
            try:
                self._send(request.room_of, request.command, awaited=False)
            except LayerUnreachable:
                self._refused.append(request)
                raise

    def flush(self, deadline: float) -> None:
        """Wait until everything is accepted; raises ``LayerUnreachable`` after ``deadline``
        (monotonic).
        """
        while True:
            self.settle()
            if not self.unsettled:
                return
            if monotonic() > deadline:
                raise LayerUnreachable(f"{self.unsettled} messages are not accepted yet")
            sleep(0.001)

    def _submit(
        self, room_of: str, script: Script, key: str, args: tuple[Any, ...], *, awaited: bool
    ) -> Publish:
        self._since_poll += 1
        if self._since_poll >= POLL_EVERY:
            self._since_poll = 0
            self.pipe.poll()
        return self._send(
            room_of, ["EVALSHA", script.sha, 2, key, "", 0, "0", *args], awaited=awaited
        )

    def _send(self, room_of: str, command: list[Any], *, awaited: bool) -> Publish:
        with self._order:  # a queue keeps the order in which its messages were numbered
            request = self._numbered(room_of, command, awaited=awaited)
            self.pipe.submit(request)
        return request

    def _numbered(self, room_of: str, command: list[Any], *, awaited: bool) -> Publish:
        page, command[_SEQUENCE] = divmod(next(self._sequence), PAGE)
        command[_PAGE], command[_RESENT] = f"{self._key}:{page}", "0"
        return Publish(self, room_of, command, awaited)

    def _must_wait(self, room_of: str) -> bool:
        return (
            self._options.confirm_publish
            or monotonic() - self.pipe.last_answer > BURST_GAP
            or self._room.get(room_of, 0) <= self.pipe.pending + ROOM_MARGIN
        )

    def _is_full(self, answer: Any) -> bool:
        if isinstance(answer, ResponseError):
            if str(answer).startswith("OOM"):
                return True
            raise TransportError(
                f"the channel layer's Redis refuses to publish: {answer}"
            ) from answer
        return bool(answer == FULL)
