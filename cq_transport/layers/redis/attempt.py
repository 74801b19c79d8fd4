"""An attempt to connect that does not hold up the event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from cq_transport.errors import LayerUnreachable
from cq_transport.layers.base import Watcher
from cq_transport.layers.redis.link import Link


class Attempt:
    """Connects in a thread and reports on the event loop.

    Args:
        make_connection: makes a redis-py connection.
        watcher: the event loop; it is woken by a descriptor.
        on_done: gets the link, and the error if it could not be connected.
    """

    def __init__(
        self,
        make_connection: Callable[[], Any],
        watcher: Watcher,
        on_done: Callable[[Link, LayerUnreachable | None], None],
    ) -> None:
        self._link = Link(make_connection)
        self._watcher = watcher
        self._on_done = on_done
        self._is_abandoned = False
        self._error: LayerUnreachable | None = None
        self._done, self._wake = os.pipe()
        watcher.watch(self._done, self._report)
        threading.Thread(target=self._connect, name="cq-connect", daemon=True).start()

    def abandon(self) -> None:
        """Report nothing any more."""
        self._watcher.unwatch(self._done)
        os.close(self._done)
        self._is_abandoned = True

    def _connect(self) -> None:
        try:
            self._link.connect()
        except LayerUnreachable as exc:
            self._error = exc
        finally:
            os.close(self._wake)  # the other end can be read from now on
        if self._is_abandoned:
            self._link.close()

    def _report(self) -> None:
        self._watcher.unwatch(self._done)
        os.close(self._done)
        self._on_done(self._link, self._error)
