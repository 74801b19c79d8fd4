"""Genuine threads, locks and signals, also where gevent or eventlet have put greenlets in their
place.

An event loop that runs in a greenlet would stop the whole process while it waits, so it gets a
thread of the operating system; whoever waits for it waits as a greenlet does.
"""

from __future__ import annotations

import _thread
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol


class Lock(Protocol):
    """What is used of a lock."""

    def __enter__(self) -> Any:
        """Acquire it."""

    def __exit__(self, *error: Any) -> Any:
        """Release it."""


class Signal(Protocol):
    """Something that happens once and can be waited for."""

    def set(self) -> None:
        """Let it have happened; from any thread."""

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds and tell whether it has happened; for one waiter."""


def green_library() -> str | None:
    """Return the library that has replaced threads by greenlets in this process, if any."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def start_thread(function: Callable[[], None], name: str) -> None:
    """Run ``function`` in a daemon thread of the operating system."""
    if green_library() is None:
        threading.Thread(target=function, name=name, daemon=True).start()
    else:
        _genuine("start_new_thread")(function, ())


def make_lock() -> Lock:
    """Return a lock for work of microseconds, shared by greenlets and threads."""
    lock: Lock = _genuine("allocate_lock")()
    return lock


def make_signal() -> Signal:
    """Return a signal that a genuine thread gives and this thread or greenlet waits for."""
    return _LockSignal() if green_library() is None else _SocketSignal()


def _genuine(name: str) -> Callable[..., Any]:
    library = green_library()
    found: Any
    if library == "gevent":
        found = sys.modules["gevent.monkey"].get_original("_thread", name)
    elif library == "eventlet":
        found = getattr(sys.modules["eventlet.patcher"].original("_thread"), name)
    else:
        found = getattr(_thread, name)
    genuine: Callable[..., Any] = found
    return genuine


class _LockSignal:
    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        self._lock.release()

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=timeout)


class _SocketSignal:
    # A socket is the one thing that a greenlet can wait for and another thread can make ready.
    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._far.setblocking(False)

    def set(self) -> None:
        with suppress(OSError):  # the waiter has given up
            self._far.send(b"\0")

    def wait(self, timeout: float) -> bool:
        try:
            self._near.settimeout(timeout)
            return bool(self._near.recv(1))
        except TimeoutError:
            return False
        finally:
            self._near.close()
            self._far.close()
