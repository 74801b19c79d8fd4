"""The bridge runs coroutines for threads, forked children and interrupted callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.layers.public.bridge import Bridge
from tests.servers.forks import answer_of

PATIENCE = 10.0


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.close()


async def thread() -> int:
    return threading.get_native_id()


async def answer(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def test_importing_starts_nothing(bridge: Bridge) -> None:
    assert not bridge.is_running


def test_everything_runs_on_one_thread(bridge: Bridge) -> None:
    found = {bridge.run(thread(), PATIENCE) for _ in range(3)}

    assert len(found) == 1
    assert found != {threading.get_native_id()}


def test_results_reach_the_threads_that_asked(bridge: Bridge) -> None:
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = [bridge.run(answer((number, turn)), PATIENCE) for turn in range(50)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE)

    assert found == {number: [(number, turn) for turn in range(50)] for number in range(4)}


def test_exceptions_reach_the_caller(bridge: Bridge) -> None:
    async def fail() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        bridge.run(fail(), PATIENCE)


def test_a_silent_layer_is_unreachable_and_given_up(bridge: Bridge) -> None:
    ended = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(LayerUnreachable, match="within"):
        bridge.run(hang(), 0.01)
    assert ended.wait(PATIENCE)
    assert bridge.run(answer("next"), PATIENCE) == "next"


def test_the_loop_cannot_wait_for_itself(bridge: Bridge) -> None:
    async def nested() -> None:
        bridge.run(answer("never"), PATIENCE)

    with pytest.raises(TransportError, match="event loop"):
        bridge.run(nested(), PATIENCE)


def test_calls_are_made_in_their_order(bridge: Bridge) -> None:
    found: list[int] = []
    for number in range(100):
        bridge.call_soon(found.append, number)
    bridge.run(answer(None), PATIENCE)

    assert found == list(range(100))


def test_close_ends_what_is_under_way(bridge: Bridge) -> None:
    started, ended, told = threading.Event(), threading.Event(), threading.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def ask() -> None:
        with pytest.raises(LayerUnreachable, match="stopped"):
            bridge.run(hang(), PATIENCE)
        told.set()

    caller = threading.Thread(target=ask)
    caller.start()
    assert started.wait(PATIENCE)
    bridge.close()
    caller.join(PATIENCE)

    assert ended.is_set() and told.is_set()
    assert not bridge.is_running


def test_it_starts_anew_after_it_was_closed(bridge: Bridge) -> None:
    bridge.run(answer(1), PATIENCE)
    bridge.close()

    assert bridge.run(answer(2), PATIENCE) == 2


def test_a_child_has_a_loop_of_its_own(bridge: Bridge) -> None:
    bridge.run(thread(), PATIENCE)

    assert answer_of(lambda: 1 if bridge.is_running else bridge.run(answer(7), PATIENCE)) == 7
    assert bridge.run(answer(8), PATIENCE) == 8
