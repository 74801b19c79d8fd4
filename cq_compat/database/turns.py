"""Calls of threads that wait for one connection, run together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import InterfaceError

#: Calls that are run together at most: more would only hold their rows for longer.
MOST = 100


class Call:
    """A statement of one thread, and what became of it.

    Args:
        row: the one row that it changes.
        answer: reads the answer from the cursor.
        once: whether it must not be run again where it may have been run unheard.
    """

    __slots__ = (
        "_error",
        "_result",
        "_turn",
        "answer",
        "is_done",
        "once",
        "params",
        "row",
        "statement",
    )

    def __init__(
        self,
        row: str,
        statement: str,
        params: Sequence[Any],
        answer: Callable[[Any], Any],
        once: bool,
    ) -> None:
        self.row = row
        self.statement = statement
        self.params = params
        self.answer = answer
        self.once = once
        #: Whether there is a result or an error.
        self.is_done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._turn: threading.Event | None = None

    def succeed(self, result: Any) -> None:
        """Keep the result for the thread that waits for it."""
        self._result, self.is_done = result, True

    def fail(self, error: BaseException) -> None:
        """Keep an error for that thread."""
        self._error, self.is_done = error, True

    def result(self) -> Any:
        """Return the result.

        Raises:
            Exception: there is an error instead.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def queue(self) -> None:
        """Let ``wait`` wait."""
        self._turn = threading.Event()

    def wait(self) -> None:
        """Wait until the call is done, or is the first one of the next that are run."""
        assert self._turn is not None
        self._turn.wait()

    def wake(self) -> None:
        """Let its thread go on."""
        if self._turn is not None:
            self._turn.set()


class Turns:
    """Lets one thread at a time run its call, and with it those that have gathered meanwhile.

    Args:
        run: runs calls, and tells each what became of it; called with the lock held.
        lock: of the connection, which is also used in other ways.
    """

    def __init__(self, run: Callable[[list[Call]], None], lock: threading.RLock) -> None:
        self._run, self._lock = run, lock
        self._mutex = threading.Lock()
        self._gathered: list[Call] = []
        self._leader: Call | None = None

    def take(self, call: Call) -> Any:
        """Return the result of a call, whichever thread has run it."""
        try:
            if not self._begin(call):
                call.wait()
            if not call.is_done:
                self._lead()
        finally:
            self._leave(call)
        return call.result()

    def _begin(self, call: Call) -> bool:
        with self._mutex:
            self._gathered.append(call)
            if self._leader is None:
                self._leader = call
                return True
            call.queue()
            return False

    def _lead(self) -> None:
        with self._lock:
            with self._mutex:
                calls, self._gathered = self._gathered[:MOST], self._gathered[MOST:]
            try:
                self._run(calls)
            finally:
                for call in calls:
                    if not call.is_done:
                        call.fail(InterfaceError("the thread that ran this was interrupted"))
                    call.wake()

    def _leave(self, call: Call) -> None:
        with self._mutex:
            if call in self._gathered:  # it was interrupted while it waited
                self._gathered.remove(call)
            if self._leader is call:
                self._leader = self._gathered[0] if self._gathered else None
                if self._leader is not None:
                    self._leader.wake()
