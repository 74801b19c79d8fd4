"""What is seen of a task, in whatever order it comes."""

from itertools import permutations
from typing import Any

import pytest

from cq_compat import states
from cq_compat.mirror import Outcome
from cq_compat.sightings import Route, Sighting, facts_of, fold


def seen(state: str, **more: Any) -> Sighting:
    return Sighting("a", Outcome(state), **{"at": 1.0, **more})


PENDING = seen(states.PENDING, is_publish=True, facts={"task": "add"})
RECEIVED = seen(states.RECEIVED, received_at=2.0, worker="w1")
STARTED = seen(states.STARTED, started_at=3.0, worker="w1")
RETRY = seen(states.RETRY, retries=1)
STARTED_AGAIN = seen(states.STARTED, retries=1, started_at=5.0, worker="w2")
SUCCESS = seen(states.SUCCESS, retries=1, at=6.0)
IGNORED = seen(states.IGNORED)
LIFE = (PENDING, RECEIVED, STARTED, RETRY, STARTED_AGAIN, SUCCESS)


def test_the_end_of_a_life_is_what_counts() -> None:
    for order in permutations(LIFE):
        (one,) = fold(order)

        assert (one.state, one.retries, one.at) == (states.SUCCESS, 1, 6.0), order
        assert (one.received_at, one.facts, one.is_publish) == (2.0, {"task": "add"}, True)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (PENDING, RECEIVED),
        (RECEIVED, STARTED),
        (STARTED, seen("PROGRESS")),
        (STARTED, RETRY),
        (seen("PROGRESS"), RETRY),
        (RETRY, STARTED_AGAIN),
        (RETRY, seen(states.RETRY, retries=1)),
        (STARTED_AGAIN, seen(states.STARTED, retries=1)),
        (STARTED, SUCCESS),
        (STARTED_AGAIN, seen(states.FAILURE)),  # whatever attempt it names
        (STARTED_AGAIN, seen(states.PENDING, is_anew=True)),
        (IGNORED, SUCCESS),  # of what replaced it
        (IGNORED, seen(states.PENDING, is_anew=True)),
    ],
    ids=lambda one: f"{one.state}{one.retries}",
)
def test_a_later_state_follows(earlier: Sighting, later: Sighting) -> None:
    assert later.follows(earlier)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (RECEIVED, PENDING),
        (STARTED, RECEIVED),
        (seen("PROGRESS"), STARTED),
        (RETRY, STARTED),
        (SUCCESS, STARTED),
        (SUCCESS, STARTED_AGAIN),
        (SUCCESS, seen(states.FAILURE)),
        (SUCCESS, seen(states.PENDING, is_anew=True)),
        (SUCCESS, IGNORED),
        (IGNORED, STARTED),
    ],
    ids=lambda one: f"{one.state}{one.retries}",
)
def test_a_late_state_does_not(earlier: Sighting, later: Sighting) -> None:
    assert not later.follows(earlier)


def test_tasks_and_runs_are_kept_apart_in_the_order_of_their_ids() -> None:
    b, a, a1 = (
        seen(states.SUCCESS)._replace(id=key, run=run)
        for key, run in (("b", None), ("a", None), ("a", 1))
    )

    assert fold([b, a1, a, b]) == [a, a1, b]


def test_a_task_that_begins_anew_is_not_held_to_what_it_was() -> None:
    (one,) = fold([STARTED_AGAIN, seen(states.PENDING, is_anew=True), RECEIVED])

    assert (one.state, one.retries, one.is_anew) == (states.RECEIVED, 0, True)


def test_the_route_is_the_first_that_is_known() -> None:
    route = Route("redis://", "", "mails", 3)

    (one,) = fold([seen(states.STARTED), seen(states.RECEIVED, route=route)])

    assert (one.state, one.route) == (states.STARTED, route)


def test_facts_are_what_a_row_shows() -> None:
    headers = {"task": "add", "id": "a", "eta": None, "argsrepr": "(1,)", "lang": "py"}

    assert facts_of(headers) == {"task": "add", "argsrepr": "(1,)"}


def test_the_weight_grows_with_the_result() -> None:
    assert PENDING.weight == 1
    assert seen(states.SUCCESS)._replace(outcome=Outcome("SUCCESS", "x" * 5000)).weight == 6
