"""A tap receives one message at a time and gives it to whoever has room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from cq_transport.layers.public import tap as module
from cq_transport.layers.public.store import Held
from cq_transport.layers.public.tap import Tap

CHANNEL = "channel"


class Source:
    """A layer with one channel, whose `receive` is counted and can be made to fail."""

    def __init__(self, *messages: Any) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        for message in messages:
            self.queue.put_nowait(message)
        self.receiving = self.most_receiving = 0
        self.failures = 0
        self.deaf = 0
        self.broken: list[bool] = []
        self.forgotten = False

    async def receive(self, channel: str) -> Any:
        self.receiving += 1
        self.most_receiving = max(self.receiving, self.most_receiving)
        try:
            return await self._receive()
        finally:
            self.receiving -= 1

    async def _receive(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError("gone")
        while True:
            try:
                return await self.queue.get()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
                self.deaf -= 1

    async def send_back(self, channel: str, message: Any) -> None:
        self.queue.put_nowait(message)

    def note(self, channel: str, *, broken: bool) -> None:
        self.broken.append(broken)

    def forget(self, channel: str) -> None:
        self.forgotten = True


class Distant(Source):
    """Loses a message if `receive` is cancelled while it is on its way."""

    def __init__(self, *messages: Any) -> None:
        super().__init__(*messages)
        self.arrived = asyncio.Event()

    async def _receive(self) -> Any:
        message = await super()._receive()
        await self.arrived.wait()
        return message


class Taker:
    """Has room for some messages."""

    priorities: Sequence[int] = range(10)

    def __init__(self, room: int) -> None:
        self.room = room
        self.found: list[Any] = []

    def wants(self) -> bool:
        return len(self.found) < self.room

    def offer(self, channel: str, held: Held) -> bool:
        self.found.append(held.message)
        return True


class Refusing(Taker):
    """Seems to have room, and has none when it comes to it."""

    def offer(self, channel: str, held: Held) -> bool:
        self.room = 0
        return False


async def until(condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), 10)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLD", "RETRY", "GRACE", "CANCEL_AGAIN"):
        monkeypatch.setattr(module, name, 0.01)


def run(case: Coroutine[Any, Any, None]) -> None:
    asyncio.run(case)


def test_a_taker_is_filled_and_no_more() -> None:
    async def case() -> None:
        source, taker = Source(*range(5)), Taker(3)
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(lambda: len(taker.found) == 3 and not source.receiving)

        assert taker.found == [0, 1, 2]
        assert source.queue.qsize() == 2
        taker.room = 4
        tap.stir()
        await until(lambda: len(taker.found) == 4)

    run(case())


def test_there_is_one_receive_for_all_takers() -> None:
    async def case() -> None:
        source, takers = Source(*range(6)), [Taker(3), Taker(3)]
        tap = Tap(CHANNEL, source)
        for taker in takers:
            tap.join(taker)
        await until(lambda: sum(len(taker.found) for taker in takers) == 6)

        assert source.most_receiving == 1
        assert [taker.found for taker in takers] == [[0, 2, 4], [1, 3, 5]]

    run(case())


def test_what_nobody_has_room_for_goes_back() -> None:
    async def case() -> None:
        source = Source("message")
        tap = Tap(CHANNEL, source)
        tap.join(Refusing(1))
        await until(lambda: source.queue.empty())
        await until(lambda: source.queue.qsize() == 1)

        assert not tap.store

    run(case())


def test_the_last_taker_leaves_nothing_behind() -> None:
    async def case() -> None:
        source, taker = Source(), Taker(1)
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(lambda: source.receiving)
        tap.part(taker)
        await tap.leave()

        assert not source.receiving
        await until(lambda: source.forgotten)

    run(case())


def test_what_was_received_in_spite_of_leaving_goes_back() -> None:
    async def case() -> None:
        source, taker = Source(), Taker(1)
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(lambda: source.receiving)
        tap.part(taker)
        tap.put("late")
        await tap.leave()

        assert source.queue.get_nowait() == "late"
        assert taker.found == []

    run(case())


def test_a_message_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 10.0)

    async def case() -> None:
        source, taker = Distant("message"), Taker(1)
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(source.queue.empty)
        tap.part(taker)
        leaving = asyncio.ensure_future(tap.leave())
        await asyncio.sleep(0)
        source.arrived.set()
        await leaving

        assert source.queue.get_nowait() == "message"
        assert taker.found == []

    run(case())


def test_a_taker_that_comes_meanwhile_keeps_the_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)

    async def case() -> None:
        source, first, second = Distant("message"), Taker(1), Taker(1)
        tap = Tap(CHANNEL, source)
        tap.join(first)
        await until(source.queue.empty)
        tap.part(first)
        leaving = asyncio.ensure_future(tap.leave())
        await asyncio.sleep(0)
        tap.join(second)
        await leaving
        source.arrived.set()
        await until(lambda: second.found)

        assert second.found == ["message"]

    run(case())


def test_a_receive_that_swallows_its_cancellation_is_cancelled_again() -> None:
    async def case() -> None:
        source, taker = Source(), Taker(1)
        source.deaf = 2
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(lambda: source.receiving)
        tap.part(taker)
        await tap.leave()

        assert not source.receiving

    run(case())


def test_a_layer_that_fails_is_asked_again() -> None:
    async def case() -> None:
        source, taker = Source("message"), Taker(1)
        source.failures = 3
        tap = Tap(CHANNEL, source)
        tap.join(taker)
        await until(lambda: taker.found)

        assert taker.found == ["message"]
        assert source.broken == [True, False] * 3

    run(case())


def test_urgent_messages_that_are_held_overtake_others() -> None:
    async def case() -> None:
        tap, taker = Tap(CHANNEL, Source()), Taker(0)
        tap.join(taker)
        tap.put({"priority": 5})
        tap.put({"priority": 1})
        taker.room = 2
        tap.stir()

        assert taker.found == [{"priority": 1}, {"priority": 5}]

    run(case())


def test_a_layer_that_takes_nothing_back_loses_nothing() -> None:
    async def case() -> None:
        class Full(Source):
            async def send_back(self, channel: str, message: Any) -> None:
                raise OSError("full")

        tap = Tap(CHANNEL, Full())
        tap.put("message")
        await tap.leave()

        assert len(tap.store) == 1

    run(case())
