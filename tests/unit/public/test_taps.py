"""The public calls of a layer put, take and return messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer, channel_layers
from django.test import override_settings

from cq_transport.layers.public.memory import MemoryTaps
from cq_transport.layers.public.taps import Taps, taps_of

ALL = range(10)
MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
Case = Callable[[Taps], Coroutine[Any, Any, None]]


@pytest.fixture(params=[Taps, MemoryTaps])
def run(request: pytest.FixtureRequest) -> Callable[[Case], None]:
    """Run a case on a layer with little room: by public calls alone, and as one in memory."""
    return lambda case: asyncio.run(case(request.param(InMemoryChannelLayer(capacity=3))))


def message(body: Any, priority: int = 0) -> dict[str, Any]:
    return {"type": "cq.message", "body": body, "priority": priority}


async def bodies(taps: Taps, channel: str) -> list[Any]:
    found = []
    while (held := await taps.take(channel, ALL)) is not None:
        found.append(held.message["body"])
    return found


def test_messages_are_taken_in_their_order(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(3):
            await taps.put({"a": 0}, message(number), 0.0)

        assert await bodies(taps, "a") == [0, 1, 2]

    run(case)


def test_a_message_goes_into_each_channel(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        await taps.put({"a": 0, "b": 7}, message("copy"), 0.0)

        assert [await bodies(taps, name) for name in ("a", "b", "c")] == [["copy"], ["copy"], []]

    run(case)


def test_a_full_channel_is_an_error(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(3):
            await taps.put({"a": 0}, message(number), 0.0)
        with pytest.raises(ChannelFull):
            await taps.put({"a": 0}, message("surplus"), 0.03)

        assert await bodies(taps, "a") == [0, 1, 2]

    run(case)


def test_a_publisher_waits_for_room(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(3):
            await taps.put({"a": 0}, message(number), 0.0)
        late = asyncio.create_task(taps.put({"a": 0}, message("late"), 10.0))
        assert await taps.take("a", ALL) is not None
        await late

        assert await bodies(taps, "a") == [1, 2, "late"]

    run(case)


def test_a_full_transient_channel_is_no_error(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(5):
            await taps.put({"a": 3}, message(number), 10.0)

        # By public calls the oldest cannot be removed, so the newest are.
        assert await bodies(taps, "a") == ([2, 3, 4] if taps.is_local else [0, 1, 2])

    run(case)


def test_purge_tells_how_many_there_were(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(3):
            await taps.put({"a": 0}, message(number), 0.0)

        assert await taps.purge("a") == 3
        assert await bodies(taps, "a") == []

    run(case)


def test_what_is_put_back_is_taken_again(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        for number in range(2):
            await taps.put({"a": 0}, message(number), 0.0)
        held = await taps.take("a", ALL)
        assert held is not None
        await taps.put_back("a", held)

        assert await bodies(taps, "a") == ([0, 1] if taps.is_local else [1, 0])

    run(case)


def test_nothing_is_left_behind(run: Callable[[Case], None]) -> None:
    async def case(taps: Taps) -> None:
        assert await bodies(taps, "a") == []
        await taps.drop("a")

        assert not taps.is_read("a")
        assert not taps.is_broken(["a"])

    run(case)


class Slow(InMemoryChannelLayer):
    """A layer that answers over connections which take a while to be made."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.asked = asyncio.Event()
        self.connected = asyncio.Event()

    async def receive(self, channel: str) -> Any:
        await self.connected.wait()
        return await super().receive(channel)

    async def group_send(self, group: str, message: Any) -> None:
        self.asked.set()
        await self.connected.wait()
        if self.is_away:
            raise ConnectionError("gone")


def test_a_channel_is_not_empty_before_the_layer_has_answered() -> None:
    async def case() -> None:
        layer = Slow()
        taps = Taps(layer)
        await taps.put({"a": 0}, message("waits"), 0.0)
        taking = asyncio.create_task(bodies(taps, "a"))
        await layer.asked.wait()
        layer.connected.set()

        assert await taking == ["waits"]

    asyncio.run(case())


def test_a_layer_that_cannot_answer_is_not_empty_and_loses_nothing() -> None:
    async def case() -> None:
        layer = Slow()
        taps = Taps(layer)
        layer.is_away = True
        purging = asyncio.create_task(taps.purge("a"))
        await layer.asked.wait()
        await taps.put({"a": 0}, message("in time"), 0.0)
        layer.connected.set()
        with pytest.raises(ConnectionError):
            await purging
        layer.is_away = False

        assert await bodies(taps, "a") == ["in time"]

    asyncio.run(case())


def test_groups() -> None:
    async def case() -> None:
        taps = Taps(InMemoryChannelLayer())
        await taps.join_groups([("group", "a"), ("group", "b"), ("other", "c")])
        await taps.layer.group_send("group", message("all"))

        assert [await bodies(taps, name) for name in ("a", "b", "c")] == [["all"], ["all"], []]

    asyncio.run(case())


def test_a_layer_has_its_taps_once() -> None:
    layer = InMemoryChannelLayer()
    found = taps_of(layer)

    assert isinstance(found, MemoryTaps)
    assert taps_of(layer) is found
    assert taps_of(InMemoryChannelLayer()) is not found


@override_settings(CHANNEL_LAYERS=MEMORY)
def test_a_child_makes_a_layer_of_its_own() -> None:
    layer = channel_layers["default"]
    taps = Taps(layer)
    assert taps.layer is layer
    taps.reset_after_fork()

    assert taps.layer is not layer
    assert type(taps.layer) is type(layer)
    assert taps.layer is taps.layer
