"""The row protocol keeps its promise whatever happens, and needs each of its guards for that."""

from __future__ import annotations

import os

import pytest

from tests.unit.model.search import search
from tests.unit.model.steps import Protocol
from tests.unit.model.world import Guard

pytestmark = pytest.mark.unit

#: Faults in one history. With each one more it takes three times as long: CQ_TEST_FAULTS=4.
FAULTS = int(os.environ.get("CQ_TEST_FAULTS", "2"))
#: Guards of which either would do.
REDUNDANT = {Guard.FINISH_OPEN, Guard.REAP_FENCE}
#: Guards without which a loss is found only if the queue is seen empty.
UNWATCHED = {Guard.MARK_TIME, Guard.MARK_CLAIMED, Guard.LATE_NOTES}


def is_sound(*without: Guard) -> bool:
    """Tell whether the promise holds without some guards."""
    return all(
        search(Protocol(acks_late=acks_late, without=without, most_faults=2)).is_sound
        for acks_late in (False, True)
    )


@pytest.mark.parametrize("acks_late", [False, True], ids=["early", "late"])
def test_the_promise_holds(acks_late: bool) -> None:
    found = search(Protocol(acks_late=acks_late, most_faults=FAULTS))
    assert found.is_sound, found
    assert found.worlds > 1000


@pytest.mark.parametrize("guard", [None, *[guard for guard in Guard if guard in UNWATCHED]])
def test_a_loss_is_found_in_a_queue_that_is_never_empty(guard: Guard | None) -> None:
    without = () if guard is None else (guard,)
    protocol = Protocol(acks_late=False, without=without, most_faults=2, is_watched=False)
    assert search(protocol).is_sound == (guard is None)


@pytest.mark.parametrize("guard", [guard for guard in Guard if guard not in REDUNDANT | UNWATCHED])
def test_each_guard_is_needed(guard: Guard) -> None:
    assert not is_sound(guard)


def test_one_of_two_guards_is_defence_in_depth() -> None:
    assert all(is_sound(guard) for guard in REDUNDANT)
    assert not is_sound(*REDUNDANT)
