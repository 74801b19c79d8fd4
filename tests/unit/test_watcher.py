"""The watcher on a real event loop of kombu's."""

from collections.abc import Callable, Iterator

import pytest
from kombu.asynchronous import Hub, set_event_loop

from cq_transport.watcher import DescriptorWatcher


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()
    set_event_loop(None)


@pytest.fixture
def watcher(hub: Hub) -> Iterator[DescriptorWatcher]:
    watcher = DescriptorWatcher()
    watcher.attach(hub)
    yield watcher
    watcher.close()


def at_the_beginning(hub: Hub, callback: Callable[[], None]) -> None:
    hub.call_soon(callback)


def at_a_timer(hub: Hub, callback: Callable[[], None]) -> None:
    hub.call_later(0, callback)


def at_the_tick(hub: Hub, callback: Callable[[], None]) -> None:
    def tick() -> None:
        hub.on_tick.discard(tick)
        callback()

    hub.on_tick.add(tick)


@pytest.mark.parametrize("begin", [at_the_beginning, at_a_timer, at_the_tick])
def test_what_is_due_soon_does_not_wait_for_the_end_of_a_poll(
    hub: Hub, watcher: DescriptorWatcher, begin: Callable[..., None]
) -> None:
    called: list[int] = []
    begin(hub, lambda: watcher.call_soon(lambda: called.append(1)))
    next(hub.loop)  # its poll would last a second
    assert called == [1]


def test_what_is_due_soon_is_called_once(hub: Hub, watcher: DescriptorWatcher) -> None:
    called: list[int] = []
    for number in (1, 2):
        watcher.call_soon(lambda number=number: called.append(number))
    hub.call_later(0, lambda: None)
    next(hub.loop)
    assert called == [1, 2]
    watcher.call_soon(lambda: called.append(3))
    next(hub.loop)
    assert called == [1, 2, 3]


def test_it_may_be_said_again_from_within(hub: Hub, watcher: DescriptorWatcher) -> None:
    called: list[int] = []

    def again() -> None:
        called.append(len(called))
        if len(called) < 3:
            watcher.call_soon(again)

    watcher.call_soon(again)
    for _ in range(3):
        next(hub.loop)
    assert called == [0, 1, 2]


def test_without_a_loop_nothing_is_called(hub: Hub, watcher: DescriptorWatcher) -> None:
    called: list[int] = []
    watcher.call_soon(lambda: called.append(1))
    watcher.detach()
    watcher.close()
    assert called == []
