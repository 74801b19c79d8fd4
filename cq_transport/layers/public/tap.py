"""One channel of a layer, as this process reads it. Everything here happens on the loop thread.

There is at most one ``receive()`` under way for a channel, however many readers want its messages.
What it brings goes to them in turn. A message for which nobody has room any more waits here for a
moment and is then sent back, so that other processes get it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from kombu.log import get_logger

from cq_transport.layers.public.stamps import priority_of
from cq_transport.layers.public.store import Held, Store, numbers

logger = get_logger(__name__)

#: Seconds that a message waits here for room, and a ``receive()`` for somebody who needs it.
HOLD = 1.0
#: Seconds between two attempts to receive from a layer that fails.
RETRY = 1.0
#: Seconds that a ``receive()`` which nobody needs any more has to bring a message that is on its
#: way: channels_redis, for one, loses it when it is cancelled before the server's answer is here.
GRACE = 0.1
#: Seconds after which a ``receive()`` that goes on is cancelled again: before Python 3.12,
#: ``asyncio.wait_for()`` swallows a cancellation that comes together with a result.
CANCEL_AGAIN = 0.1
#: How often that is done.
CANCELLATIONS = 10


class Taker(Protocol):
    """Who takes messages: a reader, or a caller that wants a single one."""

    @property
    def priorities(self) -> Sequence[int]:
        """All priorities, most urgent first."""

    def wants(self) -> bool:
        """Tell whether there is room for another message."""

    def offer(self, channel: str, held: Held) -> bool:
        """Take a message; tell whether it was taken."""


class Source(Protocol):
    """Where a tap gets its messages."""

    def receive(self, channel: str) -> Coroutine[Any, Any, Any]:
        """Wait for the next message of a channel."""

    async def send_back(self, channel: str, message: Any) -> None:
        """Return a message to the layer."""

    def note(self, channel: str, *, broken: bool) -> None:
        """Know whether the last attempt to receive has failed."""

    def forget(self, channel: str) -> None:
        """Drop a tap that has nothing left to do."""


class Tap:
    """The messages of one channel on their way to the takers of this process.

    Args:
        channel: the name of the channel.
        source: where the messages come from.
    """

    #: Whether messages come from afar, and may be on their way.
    is_distant = True

    def __init__(self, channel: str, source: Source) -> None:
        self.channel = channel
        self.store = Store()
        self.takers: list[Taker] = []
        self._source = source
        self._receiving: asyncio.Task[Any] | None = None
        self._dismissed: asyncio.Task[Any] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._hold: asyncio.TimerHandle | None = None
        self._is_failing = False

    # Takers

    def join(self, taker: Taker) -> None:
        """Give messages to ``taker`` from now on."""
        if taker not in self.takers:
            self.takers.append(taker)
        self.stir()

    def part(self, taker: Taker) -> None:
        """Give no more messages to ``taker``."""
        if taker in self.takers:
            self.takers.remove(taker)
        self.stir()

    def stir(self) -> None:
        """Do what can be done now."""
        self.absorb()
        self._hand_out()
        if self._needs_message and self._receiving is None and self._retry is None:
            self._receive()
        if self._is_idle:
            self._source.forget(self.channel)
        elif self._hold is None and self._is_overdue:
            self._hold = asyncio.get_running_loop().call_later(HOLD, self._on_hold)

    def put(self, message: Any) -> None:
        """Take a message in."""
        self.store.put(Held(next(numbers), priority_of(message), message))

    def absorb(self) -> None:
        """Take in what can be had without waiting, where a layer lets us see that."""

    async def leave(self) -> None:
        """Stop receiving and return what is held, unless there are takers."""
        if not self.takers:
            await self.stop_receiving()
        if not self.takers:
            await self.give_back()
        self.stir()

    async def stop_receiving(self) -> None:
        """End ``receive()``, after a moment in which nobody has come for what it brings; what it
        brings all the same is held.
        """
        receiving = self._receiving
        if receiving is not None and self.is_distant:
            await asyncio.wait({receiving}, timeout=GRACE)
        if self.takers:
            return
        self._dismissed = receiving
        for _ in range(CANCELLATIONS):
            if receiving is None or receiving.done():
                return
            receiving.cancel()
            await asyncio.wait({receiving}, timeout=CANCEL_AGAIN)

    async def give_back(self) -> None:
        """Return what is held to the layer."""
        while (held := self.store.take_oldest()) is not None:
            try:
                await self._source.send_back(self.channel, held.message)
            except BaseException as exc:
                self.store.put(held)
                if not isinstance(exc, Exception):
                    raise
                logger.warning("The channel layer takes no message back: %s", _describe(exc))
                return

    # Helpers

    @property
    def _needs_message(self) -> bool:
        return not self.store and any(taker.wants() for taker in self.takers)

    @property
    def _is_idle(self) -> bool:
        under_way = self._receiving or self._returning or self._retry or self._hold
        return not (self.takers or self.store or under_way)

    @property
    def _is_overdue(self) -> bool:
        return bool(self.store) or (self._receiving is not None and not self.takers)

    def _hand_out(self) -> None:
        while self.store and (taker := self._next_taker()) is not None:
            held = self.store.take(taker.priorities)
            if held is not None and not taker.offer(self.channel, held):
                self.store.put(held)

    def _next_taker(self) -> Taker | None:
        for index, taker in enumerate(self.takers):
            if taker.wants():
                self.takers.append(self.takers.pop(index))  # the others come first next time
                return taker
        return None

    def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        self._receiving = loop.create_task(self._source.receive(self.channel))
        self._receiving.add_done_callback(self._received)

    def _received(self, task: asyncio.Task[Any]) -> None:
        if task is self._receiving:
            self._receiving = None
        if task.cancelled():
            if task is not self._dismissed:
                self._fail("receive() was cancelled")
        elif (error := task.exception()) is not None:
            self._fail(_describe(error))
        else:
            self._recover()
            self.put(task.result())
        self.stir()

    def _fail(self, what: str) -> None:
        if not self._is_failing:
            logger.warning("The channel layer fails to receive from %s: %s", self.channel, what)
        self._is_failing = True
        self._source.note(self.channel, broken=True)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY, self._on_retry)

    def _recover(self) -> None:
        if self._is_failing:
            logger.info("The channel layer receives from %s again.", self.channel)
            self._is_failing = False

    def _on_retry(self) -> None:
        self._retry = None
        self._source.note(self.channel, broken=False)  # as far as is known
        self.stir()

    def _on_hold(self) -> None:
        self._hold = None
        if self._returning is None:
            self._returning = asyncio.get_running_loop().create_task(self._settle())
            self._returning.add_done_callback(self._settled)

    async def _settle(self) -> None:
        if not self.takers:
            await self.stop_receiving()
        await self.give_back()

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._returning = None
        if not task.cancelled():
            self.stir()


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
