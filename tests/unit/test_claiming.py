"""Claims are asked for in a thread, and answered on the event loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cq_transport.claiming import Claiming
from cq_transport.errors import LedgerUnavailable
from cq_transport.layers.base import Delivery
from cq_transport.watcher import DescriptorWatcher
from tests.servers.waiting import wait_until

PATIENCE = 10.0
FIRST, SECOND = Delivery("queue", 0, b"first"), Delivery("queue", 0, b"second")


class Ledger:
    """Lets what is asked for wait until `gate` is set, and then gives the first message alone."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.threads: list[str] = []
        self.error: Exception | None = None

    def claim(self, deliveries: Any) -> list[Delivery]:
        self.threads.append(threading.current_thread().name)
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return list(deliveries[:1])


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.gate.set()


@pytest.fixture
def watcher() -> Iterator[DescriptorWatcher]:
    watcher = DescriptorWatcher()
    yield watcher
    watcher.close()


@pytest.fixture
def answers() -> list[list[Delivery]]:
    return []


@pytest.fixture
def claiming(
    ledger: Ledger, watcher: DescriptorWatcher, answers: list[list[Delivery]]
) -> Iterator[Claiming]:
    claiming = Claiming(ledger.claim, watcher, lambda: answers.append(claiming.end()))
    yield claiming
    claiming.close()


def test_the_loop_goes_on_until_it_is_answered(
    claiming: Claiming, ledger: Ledger, watcher: DescriptorWatcher, answers: list[Any]
) -> None:
    assert claiming.begin([FIRST, SECOND])
    watcher.wait(0)
    assert claiming.batch == [FIRST, SECOND] and answers == []

    ledger.gate.set()
    watcher.wait(PATIENCE)

    assert answers == [[FIRST]] and not claiming.batch
    assert ledger.threads == ["cq-claims"]


def test_one_thread_claims_all(
    claiming: Claiming, ledger: Ledger, watcher: DescriptorWatcher, answers: list[Any]
) -> None:
    ledger.gate.set()
    for delivery in (FIRST, SECOND):
        assert claiming.begin([delivery])
        watcher.wait(PATIENCE)

    assert answers == [[FIRST], [SECOND]]
    assert [thread.name for thread in threading.enumerate()].count("cq-claims") == 1


@pytest.mark.parametrize("error", [LedgerUnavailable("away"), ValueError("a fault of ours")])
def test_an_error_is_raised_where_the_answer_is_waited_for(
    claiming: Claiming, ledger: Ledger, error: Exception
) -> None:
    ledger.error = error
    claiming.begin([FIRST])
    ledger.gate.set()

    with pytest.raises(type(error)):
        claiming.end()
    assert not claiming.batch

    ledger.error = None
    claiming.begin([SECOND])
    assert claiming.end() == [SECOND]


def test_what_was_waited_for_is_not_answered_again(
    claiming: Claiming, ledger: Ledger, watcher: DescriptorWatcher, answers: list[Any]
) -> None:
    ledger.gate.set()
    claiming.begin([FIRST])
    assert claiming.end() == [FIRST]
    ledger.gate.clear()
    claiming.begin([SECOND])
    watcher.wait(PATIENCE)  # by what told of the first
    assert answers == []

    ledger.gate.set()
    watcher.wait(PATIENCE)
    assert answers == [[SECOND]]


def test_it_is_closed_while_it_waits(claiming: Claiming, ledger: Ledger) -> None:
    claiming.begin([FIRST])
    claiming.close()
    ledger.gate.set()

    assert claiming.end() == [FIRST]
    wait_until(lambda: "cq-claims" not in [found.name for found in threading.enumerate()])
