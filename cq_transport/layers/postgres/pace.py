"""How soon a reader asks: a notification wakes every reader, and one gets the message."""

from __future__ import annotations

from random import uniform

#: Seconds that a reader waits at most, after it has come too late once, before it asks.
PAUSE = 0.002
#: Times in a row that it came too late, from which on the pause grows no more.
MOST_LOSSES = 5


class Pace:
    """Knows whether a reader has rivals, and leaves room for them.

    One who keeps coming too late asks later and less often, so many idle workers cost the database
    little. One who has messages in hand leaves the first chance to those who have none.
    """

    def __init__(self) -> None:
        self._losses = 0
        self._has_rivals = False
        self._was_woken = False
        self._not_before = 0.0

    def woken(self, now: float, holding: bool) -> None:
        """Learn that a notification ended a wait.

        Args:
            now: the time (monotonic).
            holding: whether the consumer has messages in hand.
        """
        losses = MOST_LOSSES if holding and self._has_rivals else self._losses
        self._was_woken = True
        self._not_before = now + uniform(0, PAUSE * losses)

    def answered(self, got_some: bool) -> None:
        """Learn whether the last request brought messages."""
        if got_some:
            self._losses = 0
        elif self._was_woken:
            self._has_rivals = True
            self._losses = min(self._losses + 1, MOST_LOSSES)
        self._was_woken = False

    def pause(self, now: float) -> float:
        """Return the seconds to leave to rivals before the next request.

        Args:
            now: the time (monotonic).
        """
        return max(0.0, self._not_before - now)
