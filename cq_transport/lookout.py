"""Lets an event loop hear in time what a pool's threads have told it.

Before kombu 5.7 ``Hub.call_soon`` does not wake a loop that waits for its descriptors: what another
thread says, above all that a task is done, is heard when the poll ends, up to a second later. So
polls are kept short while messages are unacknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import kombu

#: Whether a thread that calls ``Hub.call_soon`` wakes the loop.
HUB_WAKES = kombu.VERSION >= (5, 7)
#: Seconds of a poll, at first and at most. Between them it takes a quarter of the time for which
#: nothing has happened, so that tasks seem to last a quarter longer at most.
SHORTEST, LONGEST = 0.001, 0.05
SHARE = 0.25


class Lookout:
    """Ends a loop's polls early for as long as something may be heard.

    Args:
        hub: the event loop.
        is_needed: whether messages are unacknowledged.
    """

    def __init__(self, hub: Any, is_needed: Callable[[], bool]) -> None:
        self._hub = hub
        self._is_needed = is_needed
        self._since = 0.0
        self._timer: Any = None

    def stir(self) -> None:
        """Learn that a message was delivered or acknowledged; from a callback of a descriptor, of
        a timer or of ``call_soon``, after which the loop looks at its timers before it polls.
        """
        self._since = monotonic()
        if self._timer is None:
            self._set(SHORTEST)

    def close(self) -> None:
        """Leave the loop alone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._is_needed():
            self._set(min(max(SHARE * (monotonic() - self._since), SHORTEST), LONGEST))

    def _set(self, seconds: float) -> None:
        self._timer = self._hub.call_later(seconds, self._look)
