"""Waits for the readers' descriptors: on Celery's event loop, or in ``drain_events``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu.utils.eventio import ERR, READ, poll


class DescriptorWatcher:
    """Knows the descriptors that are being waited for, and who waits for them."""

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._hub: Any = None
        self._poller: Any = poll()

    @property
    def has_hub(self) -> bool:
        """Whether an event loop does the waiting."""
        return self._hub is not None

    def attach(self, hub: Any) -> None:
        """Let the event loop ``hub`` do the waiting from now on."""
        for fd in self._callbacks:
            self._stop_waiting(fd)
        self._hub = hub
        for fd, callback in self._callbacks.items():
            hub.add_reader(fd, callback)

    def detach(self) -> None:
        """Leave the event loop."""
        for fd in self._callbacks:
            self._stop_waiting(fd)
        self._hub = None
        for fd in self._callbacks:
            self._poller.register(fd, READ | ERR)

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable`` whenever ``fd`` has something to read."""
        self._callbacks[fd] = on_readable
        if self._hub is not None:
            self._hub.add_reader(fd, on_readable)
        else:
            self._poller.register(fd, READ | ERR)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; to be called before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._stop_waiting(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once after ``seconds``; without an event loop the next ``drain_events``
        does its work.
        """
        if self._hub is not None:
            self._hub.call_later(seconds, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` at the next turn of the event loop."""
        if self._hub is not None:
            self._hub.call_soon(callback)

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
        self._poller.close()

    def _stop_waiting(self, fd: int) -> None:
        try:
            if self._hub is not None:
                self._hub.remove_reader(fd)
            else:
                self._poller.unregister(fd)
        except (KeyError, ValueError, OSError):
            pass  # the loop was reset meanwhile
