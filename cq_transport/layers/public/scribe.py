"""What the event loop's thread logs where eventlet has replaced locks.

Eventlet's locks, those of log handlers among them, know the greenlets of one thread. A genuine
thread that found one taken would wait for ever, and keep it from all others. So nothing of the
loop's thread reaches a handler: a greenlet hands its records on.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from contextlib import suppress


class Scribe:
    """Writes what the thread ``thread_id`` logs, in a greenlet of the thread that makes it."""

    def __init__(self) -> None:
        self.thread_id = 0
        self._said: deque[tuple[logging.Handler, logging.LogRecord]] = deque()
        # The one thing that a greenlet can wait for and another thread can make ready.
        self._near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self._filters = [_NotHere(self, handler) for handler in _handlers()]
        for one in self._filters:
            one.handler.addFilter(one)
        threading.Thread(target=self._run, name="cq-scribe", daemon=True).start()

    def take(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        """Have a record handled; from the thread."""
        self._said.append((handler, record))
        with suppress(OSError):  # full: the greenlet is about to look anyway
            self._far.send(b"\0")

    def close(self) -> None:
        """Write what is left; the thread has ended."""
        for one in self._filters:
            one.handler.removeFilter(one)
        self._far.close()
        self._write()

    def _run(self) -> None:
        with self._near:
            while self._near.recv(4096):
                self._write()

    def _write(self) -> None:
        while self._said:
            handler, record = self._said.popleft()
            try:
                handler.handle(record)
            except Exception:  # a filter's: the next record needs this greenlet
                handler.handleError(record)


class _NotHere(logging.Filter):
    # Handlers ask their filters before they take their lock.
    def __init__(self, scribe: Scribe, handler: logging.Handler) -> None:
        super().__init__()
        self.handler = handler
        self._scribe = scribe

    def filter(self, record: logging.LogRecord) -> bool:
        if threading.get_native_id() != self._scribe.thread_id:
            return True
        self._scribe.take(self.handler, record)
        return False


def _handlers() -> set[logging.Handler]:
    root = logging.getLogger()
    loggers = [root, *root.manager.loggerDict.values()]  # some of these are but places
    found = {handler for one in loggers for handler in getattr(one, "handlers", ())}
    return found | {logging.lastResort} if logging.lastResort is not None else found
