"""Waits for the readers' descriptors: on Celery's event loop, or in ``drain_events``.

A starting worker does both: it has its loop already when it asks its neighbours and waits for their
answers. So the descriptors are always in a poller of our own, and on the loop besides.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kombu.utils.eventio import ERR, READ, poll

#: What leaving a poller raises when it was reset meanwhile.
_NOT_THERE = (KeyError, ValueError, OSError)


class DescriptorWatcher:
    """Knows the descriptors that are being waited for, and who waits for them."""

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._hub: Any = None
        self._poller: Any = poll()
        self._is_draining = False
        self._soon: list[Callable[[], None]] = []
        self._always_readable: socket.socket | None = None

    @property
    def has_hub(self) -> bool:
        """Whether an event loop does the waiting."""
        return self._hub is not None and not self._is_draining

    @contextmanager
    def draining(self) -> Iterator[None]:
        """Let the caller do the waiting meanwhile, even if there is an event loop."""
        before, self._is_draining = self._is_draining, True
        try:
            yield
        finally:
            self._is_draining = before

    def attach(self, hub: Any) -> None:
        """Let the event loop ``hub`` do the waiting from now on."""
        self._hub = hub
        for fd, callback in self._callbacks.items():
            hub.add_reader(fd, callback)

    def detach(self) -> None:
        """Leave the event loop."""
        for fd in self._callbacks:
            self._leave_hub(fd)
        self._hub = None

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` whenever ``fd`` has something to read."""
        self._callbacks[fd] = on_readable
        self._poller.register(fd, READ | ERR)
        if self._hub is not None:
            self._hub.add_reader(fd, on_readable)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; to be called before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._leave_hub(fd)
            with suppress(*_NOT_THERE):
                self._poller.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once after ``seconds``; without an event loop the next ``drain_events``
        does its work.
        """
        if self._hub is not None:
            self._hub.call_later(seconds, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` as soon as the event loop, whose thread this is, has looked at its
        descriptors once more.

        The hub's own ``call_soon`` is for descriptors' callbacks: what another callback says to it
        waits until the next poll has come to its end.
        """
        if self._hub is None:
            return
        self._soon.append(callback)
        if self._always_readable is None:
            self._always_readable, other = socket.socketpair()
            other.close()
        self.watch(self._always_readable.fileno(), self._call_those)

    def wait(self, timeout: float | None) -> None:
        """Wait up to ``timeout`` seconds for descriptors and call back those that can be read."""
        for fd, _ in self._poller.poll(timeout) or ():
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Forget everything."""
        for fd in list(self._callbacks):
            self.unwatch(fd)
        self._hub = None
        self._soon.clear()
        if self._always_readable is not None:
            self._always_readable.close()
        self._poller.close()

    def _call_those(self) -> None:
        if self._always_readable is not None:
            self.unwatch(self._always_readable.fileno())
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()

    def _leave_hub(self, fd: int) -> None:
        if self._hub is not None:
            with suppress(*_NOT_THERE):
                self._hub.remove_reader(fd)
