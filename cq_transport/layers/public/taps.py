"""The channels of one layer that this process reads, and the way of its messages into them.

What is asynchronous here, or says so, happens on the loop thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any
from weakref import WeakValueDictionary

from channels import layers as channels_layers
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from cq_transport.envelope import Envelope
from cq_transport.forks import reset_in_children
from cq_transport.layers.public.bridge import abandon
from cq_transport.layers.public.store import Held
from cq_transport.layers.public.tap import Taker, Tap

#: Seconds between two attempts to put a message into a full channel.
FULL_PAUSE = 0.02
#: Seconds without a message after which a channel counts as empty: once before, and once after the
#: layer has answered something that it was asked later, over a connection that may be new as well.
QUIET = 0.05
#: A group without members.
NOBODY = "cq.nobody"


class Taps:
    """Reads and fills a layer by its public calls.

    Args:
        layer: the project's channel layer.
    """

    #: Whether the layer lives in this process alone, so that all its messages and bindings are
    #: known here.
    is_local = False
    tap_class: type[Tap] = Tap

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._is_inherited = False
        self._taps: dict[str, Tap] = {}
        self._broken: set[str] = set()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent, its layer's connections too."""
        abandon(self._taps)
        self._taps, self._broken, self._is_inherited = {}, set(), True

    @property
    def layer(self) -> BaseChannelLayer:
        """The layer; in a forked child one of its own."""
        if self._is_inherited:
            self._layer, self._is_inherited = _another(self._layer), False
        return self._layer

    def check(self) -> None:
        """Make sure that this process reaches the layer; raises ``LayerMisconfigured`` if not."""

    async def probe(self) -> None:
        """Ask the layer for something harmless that it must answer.

        Raises:
            NotImplementedError: the layer has no groups.
        """
        if not hasattr(self.layer, "group_send"):  # which Channels' base class has since 4.3
            raise NotImplementedError
        await self.layer.group_send(NOBODY, {"type": "cq.probe"})

    # Readers, called on the loop thread

    def join(self, taker: Taker, channels: Sequence[str]) -> None:
        """Give the messages of ``channels`` to ``taker`` from now on."""
        for channel in channels:
            self._tap(channel).join(taker)

    def part(self, taker: Taker, channels: Iterable[str]) -> None:
        """Give no more messages to ``taker``."""
        for tap in self._known(channels):
            tap.part(taker)

    def stir(self, channels: Iterable[str]) -> None:
        """Give out what there is, because a taker has room again."""
        for tap in self._known(channels):
            tap.stir()

    def refresh(self, channels: Iterable[str]) -> None:
        """Look after the channels of a reader, about once a second."""
        self.stir(channels)

    async def leave(self, taker: Taker, channels: Iterable[str]) -> None:
        """Give no more messages to ``taker``, and return what nobody else here wants."""
        taps = self._known(channels)
        for tap in taps:
            tap.part(taker)
        await asyncio.gather(*(tap.leave() for tap in taps))

    def is_broken(self, channels: Iterable[str]) -> bool:
        """Tell whether the last attempt to receive from one of ``channels`` failed; any thread."""
        return not self._broken.isdisjoint(channels)

    def is_read(self, channel: str) -> bool:
        """Tell whether a channel has readers in this process; any thread."""
        tap = self._taps.get(channel)
        return tap is not None and bool(tap.takers)

    # Messages

    async def put(self, targets: Mapping[str, int], message: Envelope, patience: float) -> None:
        """Put a message into channels.

        Args:
            targets: the channels, each with the number of messages beyond which the oldest make
                room, or 0 for the capacity of the layer, beyond which there is none.
            message: what goes into each.
            patience: seconds to wait for room.

        Raises:
            ChannelFull: a channel with the layer's capacity has no room.
        """
        for channel, transient in sorted(targets.items(), key=lambda target: target[1]):
            try:
                await self._send(channel, message, 0.0 if transient else patience)
            except ChannelFull:
                if not transient:
                    raise

    async def join_groups(self, members: Iterable[tuple[str, str]]) -> None:
        """Let channels join groups, or stay in them; each member is a group and a channel."""
        await asyncio.gather(*(self.layer.group_add(*member) for member in members))

    async def put_back(self, channel: str, held: Held) -> None:
        """Return a message that was taken; here it becomes the last of its channel."""
        await self.layer.send(channel, held.message)

    async def take(self, channel: str, priorities: Sequence[int]) -> Held | None:
        """Take the next message of a channel, or ``None`` if there seems to be none; a layer that
        cannot answer raises its client's error.
        """
        once = _Once(priorities)
        tap = self._tap(channel)
        tap.join(once)
        try:
            await asyncio.wait({once.held}, timeout=QUIET)
            if not once.held.done():
                await self.probe()
                await asyncio.wait({once.held}, timeout=QUIET)
        except BaseException:
            if once.held.done():
                tap.store.put(once.held.result())
            raise
        finally:
            once.close()
            tap.part(once)
        return None if once.held.cancelled() else once.held.result()

    async def purge(self, channel: str) -> int:
        """Remove the messages of a channel until none has come for a moment; return how many."""
        purged = 0
        while await self.take(channel, range(10)) is not None:
            purged += 1
        return purged

    async def drop(self, channel: str) -> None:
        """Remove a channel with its messages; nobody reads it any more."""
        await self.purge(channel)
        for tap in self._known([channel]):
            await tap.leave()

    async def size(self, channel: str) -> int:
        """Return how many messages are known to wait in a channel."""
        tap = self._taps.get(channel)
        return len(tap.store) if tap is not None else 0

    # What taps ask for

    def receive(self, channel: str) -> Coroutine[Any, Any, Any]:
        """Wait for the next message of a channel."""
        waiting: Coroutine[Any, Any, Any] = self.layer.receive(channel)
        return waiting

    async def send_back(self, channel: str, message: Any) -> None:
        """Return a message that found no room here."""
        await self.layer.send(channel, message)

    def note(self, channel: str, *, broken: bool) -> None:
        """Know whether the last attempt to receive has failed."""
        (self._broken.add if broken else self._broken.discard)(channel)

    def forget(self, channel: str) -> None:
        """Drop a tap that has nothing left to do."""
        self._taps.pop(channel, None)
        self._broken.discard(channel)

    # Helpers

    def _tap(self, channel: str) -> Tap:
        if channel not in self._taps:
            self._taps[channel] = self.tap_class(channel, self)
        return self._taps[channel]

    def _known(self, channels: Iterable[str]) -> list[Tap]:
        return [self._taps[channel] for channel in channels if channel in self._taps]

    async def _send(self, channel: str, message: Envelope, patience: float) -> None:
        deadline = monotonic() + patience
        while True:
            try:
                await self.layer.send(channel, message)
                return
            except ChannelFull:
                if monotonic() >= deadline:
                    raise
                await asyncio.sleep(FULL_PAUSE)


class _Once:
    """A taker of one message."""

    def __init__(self, priorities: Sequence[int]) -> None:
        self.priorities = priorities
        self.held: asyncio.Future[Held] = asyncio.get_running_loop().create_future()

    def wants(self) -> bool:
        return not self.held.done()

    def offer(self, channel: str, held: Held) -> bool:
        self.held.set_result(held)
        return True

    def close(self) -> None:
        self.held.cancel()


def _another(layer: BaseChannelLayer) -> BaseChannelLayer:
    manager = channels_layers.channel_layers
    for alias, known in manager.backends.items():
        if known is layer and alias in manager.configs:
            made: BaseChannelLayer = manager.make_backend(alias)
            return made
    return layer


_taps: WeakValueDictionary[int, Taps] = WeakValueDictionary()


def taps_of(layer: BaseChannelLayer) -> Taps:
    """Return this process's taps of a layer, the same ones for every caller."""
    from cq_transport.layers.public.memory import MemoryTaps, is_memory

    taps = _taps.get(id(layer))
    if taps is None:
        taps = _taps[id(layer)] = (MemoryTaps if is_memory(layer) else Taps)(layer)
    return taps
