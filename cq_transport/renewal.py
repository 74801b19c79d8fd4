"""Renews leases beside the event loop, which must not wait for a layer that is slow."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cq_transport.exits import start


class Renewal:
    """Calls ``renew``, which waits for the layer, once at a time.

    Args:
        renew: raises nothing.
    """

    def __init__(self, renew: Callable[[], None]) -> None:
        self._renew = renew
        self._thread: threading.Thread | None = None

    def run(self, aside: bool) -> None:
        """Renew now; if ``aside`` and one can be had, in a thread of its own, and not while one is
        still at it.
        """
        if not aside:
            self._renew()
        elif self._thread is None or not self._thread.is_alive():
            self._thread = start(self._renew, "cq-renewal")
            if self._thread is None:
                self._renew()
