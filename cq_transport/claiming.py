"""Asks the ledger which messages may run here, while the event loop goes on.

A ledger answers when it has committed. Meanwhile the loop feeds its pool, and what arrives gathers
for the next question.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue

from cq_transport.exits import start
from cq_transport.layers.base import Delivery, Watcher

Deliveries = Sequence[Delivery]


class Claiming:
    """Claims a batch of messages in a thread, one batch at a time.

    Args:
        claim: returns those messages that may run here.
        watcher: the event loop; it is woken by a descriptor.
        on_done: is called there when a batch is answered.
    """

    def __init__(
        self,
        claim: Callable[[Deliveries], list[Delivery]],
        watcher: Watcher,
        on_done: Callable[[], None],
    ) -> None:
        self._claim, self._watcher, self._on_done = claim, watcher, on_done
        #: The messages that are being asked for.
        self.batch: Deliveries = ()
        self._batches: SimpleQueue[Deliveries | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_answered = threading.Event()
        self._answer: list[Delivery] = []
        self._error: BaseException | None = None
        self._done = self._wake = -1

    def begin(self, batch: Deliveries) -> bool:
        """Ask for messages; tell whether there is a thread that does so."""
        if self._thread is None and not self._start():
            return False
        self.batch = batch
        self._is_answered.clear()
        self._batches.put(batch)
        return True

    def end(self) -> list[Delivery]:
        """Return those of the batch that may run here, as soon as that is known.

        Raises:
            LedgerUnavailable: that is not known now.
        """
        self._is_answered.wait()
        self.batch = ()
        if self._error is not None:
            raise self._error
        return self._answer

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread = None
            self._batches.put(None)
            self._watcher.unwatch(self._done)
            os.close(self._done)

    def _start(self) -> bool:
        self._done, self._wake = os.pipe()
        self._thread = start(self._run, "cq-claims")
        if self._thread is None:
            os.close(self._done)
            os.close(self._wake)
            return False
        self._watcher.watch(self._done, self._report)
        return True

    def _run(self) -> None:
        wake = self._wake
        while (batch := self._batches.get()) is not None:
            self._error = None
            try:
                self._answer = self._claim(batch)
            except BaseException as exc:  # it is raised where the answer is waited for
                self._error = exc
            self._is_answered.set()
            with suppress(BrokenPipeError):  # it was closed meanwhile
                os.write(wake, b"\0")
        os.close(wake)

    def _report(self) -> None:
        os.read(self._done, 64)
        if self.batch and self._is_answered.is_set():
            self._on_done()
