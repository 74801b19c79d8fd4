"""A thread that looks after messages whose publisher has gone on without waiting for the layer's
answer.

One per process, started when it is first needed and asleep while nothing is under way; a forked
child starts its own. At the end of the process it waits a moment for what is left.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import Protocol

from kombu.log import get_logger

from cq_transport.errors import TransportError
from cq_transport.exits import at_exit, start
from cq_transport.forks import reset_in_children

logger = get_logger(__name__)

#: Seconds between two looks.
INTERVAL = 0.02
#: Seconds that the end of a process is held up for messages that are not settled.
EXIT_TIMEOUT = 5.0


class Unsettled(Protocol):
    """Something that has messages under way."""

    @property
    def unsettled(self) -> int:
        """How many messages the layer has not accepted yet."""

    def settle(self) -> None:
        """Do what can be done for them now, without waiting; raises ``TransportError`` while it
        fails.
        """


class Settler:
    """Calls ``settle`` on everything that has messages under way."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin with nothing under way."""
        self._lock = threading.Lock()
        self._active: set[Unsettled] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._failing: set[Unsettled] = set()

    def look_after(self, unsettled: Unsettled) -> None:
        """Settle ``unsettled`` until it has nothing under way."""
        with self._lock:
            if unsettled in self._active:
                return
            self._active.add(unsettled)
            if self._thread is None:
                self._start()
        self._wake.set()

    def flush(self, timeout: float) -> int:
        """Settle everything within ``timeout`` seconds and return how many messages are left."""
        deadline = monotonic() + timeout
        while self._active and monotonic() < deadline:
            self._settle_all()
            if self._active:
                threading.Event().wait(INTERVAL)
        return sum(unsettled.unsettled for unsettled in self._active)

    def _start(self) -> None:
        self._thread = start(self._run, "cq-settler")
        at_exit(self._at_exit)  # where no thread starts any more, it does all

    def _run(self) -> None:
        while True:
            if not self._active:
                self._wake.wait()
                self._wake.clear()
            threading.Event().wait(INTERVAL)
            self._settle_all()

    def _settle_all(self) -> None:
        for unsettled in list(self._active):
            try:
                unsettled.settle()
            except Exception as exc:  # also of a bug: the others' messages need this thread
                self._note_failure(unsettled, exc)
                continue
            if unsettled in self._failing:
                self._failing.discard(unsettled)
                logger.info("The channel layer is back; messages that were kept have been sent.")
            with self._lock:
                if not unsettled.unsettled:
                    self._active.discard(unsettled)

    def _note_failure(self, unsettled: Unsettled, exc: Exception) -> None:
        if unsettled not in self._failing:
            self._failing.add(unsettled)
            logger.warning(
                "%d messages are kept until the channel layer accepts them: %s",
                unsettled.unsettled,
                exc,
                exc_info=None if isinstance(exc, TransportError) else exc,
            )

    def _at_exit(self) -> None:
        left = self.flush(EXIT_TIMEOUT)
        if left:
            logger.error(
                "%d messages were not accepted by the channel layer; they end with this process.",
                left,
            )
            self._active.clear()


settler = Settler()
