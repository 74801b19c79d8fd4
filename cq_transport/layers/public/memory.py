"""``InMemoryChannelLayer``: nobody outside this process reads or fills it, and its channels can be
looked into.

What a consumer has not taken yet is held by the tap, in its order and with its priority, and what
comes back takes its place again. The layer's capacity counts what is held; its expiry does not
apply to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from time import monotonic
from typing import Any

from billiard.process import current_process
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from cq_transport.envelope import Envelope
from cq_transport.errors import LayerMisconfigured
from cq_transport.layers.public.store import Held
from cq_transport.layers.public.tap import Tap
from cq_transport.layers.public.taps import FULL_PAUSE, Taps


def is_memory(layer: BaseChannelLayer) -> bool:
    """Tell whether a layer is, or extends, the one in memory."""
    return isinstance(layer, InMemoryChannelLayer)


class MemoryTap(Tap):
    """A channel that can be emptied without waiting, into a store that keeps its messages."""

    is_distant = False

    def absorb(self) -> None:
        """Take in everything, if there is a consumer for it."""
        if self.takers:
            self.take_all()

    def take_all(self) -> None:
        """Take in everything."""
        source: Any = self._source
        queue: asyncio.Queue[tuple[float, Any]] | None = source.layer.channels.get(self.channel)
        while queue is not None and not queue.empty():
            self.put(queue.get_nowait()[1])
        if queue is not None and self._receiving is None:
            source.layer.channels.pop(self.channel, None)  # as the layer does itself

    async def give_back(self) -> None:
        """Keep it: whoever comes next finds it here."""

    def receive_anew(self) -> None:
        """Wait anew: after a ``flush()`` the layer would never end the old ``receive()``."""
        if self._receiving is not None:
            self._dismissed = self._receiving
            self._receiving.cancel()

    @property
    def _is_overdue(self) -> bool:
        return self._receiving is not None and not self.takers


class MemoryTaps(Taps):
    """Reads and fills a layer that lives in this process."""

    is_local = True
    tap_class = MemoryTap

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent; ``check`` tells whoever asks."""
        super().reset_after_fork()
        self._is_forked = True

    _is_forked = False

    def check(self) -> None:
        """Make sure that the consumers of this layer are in this process.

        Raises:
            LayerMisconfigured: this is a child of the process that they are in.
        """
        if self._is_forked or getattr(current_process(), "_parent_pid", None) is not None:
            raise LayerMisconfigured(
                "InMemoryChannelLayer exists in one process only: what a child of a worker "
                "publishes would reach nobody. Run the worker with --pool solo or --pool threads, "
                "or use a layer that processes share, such as RedisChannelLayer."
            )

    @property
    def layer(self) -> BaseChannelLayer:
        """The layer; a child has no other."""
        return self._layer

    async def probe(self) -> None:
        """Memory is always there."""

    def refresh(self, channels: Iterable[str]) -> None:
        """Look after the channels of a reader, about once a second."""
        for tap in self._known(channels):
            assert isinstance(tap, MemoryTap)
            tap.receive_anew()
            tap.stir()

    async def put(self, targets: Mapping[str, int], message: Envelope, patience: float) -> None:
        """Put a message into channels: into all of them, or if one is full into none."""
        deadline = monotonic() + patience
        while full := [
            name for name, limit in targets.items() if not limit and self._is_full(name)
        ]:
            if monotonic() >= deadline:
                raise ChannelFull(full[0])
            await asyncio.sleep(FULL_PAUSE)
        for channel, limit in targets.items():
            if limit:
                self._make_room(channel, limit)
            await self.layer.send(channel, message)
            self.stir([channel])

    async def put_back(self, channel: str, held: Held) -> None:
        """Put a message back in its place."""
        tap = self._tap(channel)
        tap.store.put(Held(held.number, held.priority, deepcopy(held.message)))
        tap.stir()

    async def take(self, channel: str, priorities: Sequence[int]) -> Held | None:
        """Take the next message of a channel, or ``None`` if there is none."""
        tap = self._open(channel)
        held = tap.store.take(priorities)
        tap.stir()
        return held

    async def purge(self, channel: str) -> int:
        """Remove the messages of a channel and return how many there were."""
        tap, purged = self._open(channel), 0
        while tap.store.take_oldest() is not None:
            purged += 1
        tap.stir()
        return purged

    async def size(self, channel: str) -> int:
        """Return how many messages wait in a channel."""
        return self._size(channel)

    def _size(self, channel: str) -> int:
        tap, layer = self._taps.get(channel), self._layer
        assert isinstance(layer, InMemoryChannelLayer)
        queue = layer.channels.get(channel)
        return (len(tap.store) if tap is not None else 0) + (queue.qsize() if queue else 0)

    def _is_full(self, channel: str) -> bool:
        return bool(self._size(channel) >= self._layer.get_capacity(channel))

    def _make_room(self, channel: str, limit: int) -> None:
        if self._size(channel) >= min(limit, self._layer.get_capacity(channel)):
            tap = self._open(channel)
            while len(tap.store) >= limit:
                tap.store.take_oldest()

    def _open(self, channel: str) -> MemoryTap:
        tap = self._tap(channel)
        assert isinstance(tap, MemoryTap)
        tap.take_all()
        return tap
