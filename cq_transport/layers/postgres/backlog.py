"""Where messages may wait, as far as a reader knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Wanted(NamedTuple):
    """A channel that may hold messages, and the lowest id that one of them may have."""

    channel: str
    lowest: int


class Backlog:
    """Knows from looks and notifications which channels are worth a query, and from which id on.

    The table of messages has no index by channel: a query that knows where to begin needs none.
    """

    def __init__(self) -> None:
        self._lowest: dict[str, int] = {}
        self._channels: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._lowest)

    def follow(self, channels: Iterable[str]) -> None:
        """Begin anew with these channels; what is noted of others is ignored."""
        self._channels = frozenset(channels)
        self._lowest.clear()

    def note(self, channel: str, message_id: int) -> None:
        """Learn that ``channel`` has or had a message."""
        if channel in self._channels:
            self._lowest[channel] = min(message_id, self._lowest.get(channel, message_id))

    def begin(self, order: Iterable[str]) -> list[Wanted]:
        """Return where to look, and forget it: what is noted from now on is news."""
        wanted = [Wanted(name, self._lowest[name]) for name in order if name in self._lowest]
        self._lowest.clear()
        return wanted

    def end(self, wanted: Sequence[Wanted], highest: Mapping[str, int], enough: bool) -> None:
        """Learn from an answer.

        Args:
            wanted: what ``begin`` returned.
            highest: the highest id that was taken from each channel.
            enough: whether as many messages were taken as were asked for: there may be more.
        """
        if not enough:
            return
        reached = max(index for index, one in enumerate(wanted) if one.channel in highest)
        last = wanted[reached].channel
        self.note(last, highest[last] + 1)
        for channel, lowest in wanted[reached + 1 :]:
            self.note(channel, lowest)
