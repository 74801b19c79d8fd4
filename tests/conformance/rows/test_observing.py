"""Observers: what they write of tasks that the ledger does not keep."""

from itertools import permutations
from time import monotonic
from typing import Any

import pytest

from cq_compat import states
from cq_compat.database import OwnConnection
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, Outcome, PublishingMirror, WorkingMirror
from cq_compat.mirror.observing import ObservingMirror
from cq_compat.sightings import Route, Sighting
from tests.conformance.rows.messages import BROKER, claimed, lose, record, row

FACTS = {"task": "tests.add", "argsrepr": "(1,)", "kwargsrepr": "{}", "group": "g"}
ROUTE = Route("redis://localhost/0", "", "mails", 4)
SUCCESS = Outcome(states.SUCCESS, "3", "application/json")


@pytest.fixture
def observing(connection: OwnConnection) -> ObservingMirror:
    return ObservingMirror(connection)


def seen(outcome: str | Outcome, task_id: str = "a", **more: Any) -> Sighting:
    outcome = Outcome(outcome) if isinstance(outcome, str) else outcome
    return Sighting(task_id, outcome, monotonic(), facts=FACTS, route=ROUTE)._replace(**more)


def published(task_id: str = "a", **more: Any) -> Sighting:
    return seen(states.PENDING, task_id, is_publish=True, **more)


def received(task_id: str = "a", **more: Any) -> Sighting:
    more = {"worker": "w1", "received_at": monotonic(), **more}
    return seen(states.RECEIVED, task_id, **more)


def started(task_id: str = "a", **more: Any) -> Sighting:
    more = {"worker": "w1", "started_at": monotonic(), **more}
    return seen(states.STARTED, task_id, **more)


def succeeded(task_id: str = "a", **more: Any) -> Sighting:
    return seen(SUCCESS, task_id, **{"worker": "w1", **more})


def test_whatever_comes_first_the_row_becomes_the_same(observing: ObservingMirror) -> None:
    life = (published(), received(), started(), succeeded())
    for number, order in enumerate(permutations(life)):
        for one in order:
            observing.observe([one._replace(id=f"t{number}")])

        found = row(f"t{number}")
        assert (found.state, found.encoded_result, found.worker) == (states.SUCCESS, "3", "w1"), (
            order
        )
        assert (found.name, found.args, found.group_id) == ("tests.add", "(1,)", "g")
        assert (found.broker, found.queue, found.priority) == (ROUTE.broker, "mails", 4)
        assert found.received_at is not None and found.started_at is not None
        assert found.finished_at is not None and found.ended_as is None


def test_a_batch_is_of_many_tasks(observing: ObservingMirror) -> None:
    observing.observe([published(task_id) for task_id in "abc"])
    observing.observe([started("a"), published("b"), succeeded("c"), received("d")])

    assert [row(task_id).state for task_id in "abcd"] == [
        states.STARTED,
        states.PENDING,
        states.SUCCESS,
        states.RECEIVED,
    ]


def test_times_are_when_it_was_seen(observing: ObservingMirror) -> None:
    now = monotonic()
    observing.observe([published(at=now - 60), published("b", at=now)])
    observing.observe([started(at=now - 30, started_at=now - 30)])

    a, b = row("a"), row("b")
    assert 55 < (b.created_at - a.created_at).total_seconds() < 65
    assert a.started_at is not None
    assert 25 < (a.started_at - a.created_at).total_seconds() < 35


def test_a_retry_goes_on_from_the_next_attempt(observing: ObservingMirror) -> None:
    error = Outcome(states.RETRY, "{}", "application/json", "Traceback")
    observing.observe([published()])
    observing.observe([started()])
    observing.observe([seen(states.RETRY, retries=1)])
    observing.observe([seen(error, retries=1)])

    found = row("a")
    assert (found.state, found.retries, found.traceback) == (states.RETRY, 1, "Traceback")
    observing.observe([started()])  # of the first attempt, late
    assert row("a").state == states.RETRY
    observing.observe([started(retries=1)])
    assert (row("a").state, row("a").traceback) == (states.STARTED, None)


def test_what_replaced_a_task_goes_on_in_its_row(observing: ObservingMirror) -> None:
    observing.observe([started(retries=2)])
    observing.observe([seen(states.IGNORED)])
    assert row("a").is_finished

    observing.observe([published(is_anew=True)])
    assert (row("a").state, row("a").retries, row("a").is_finished) == (states.PENDING, 0, False)
    observing.observe([succeeded()])
    observing.observe([seen(states.IGNORED)])
    assert row("a").state == states.SUCCESS


def test_the_end_stays(observing: ObservingMirror) -> None:
    observing.observe([succeeded()])
    observing.observe([seen(states.FAILURE)])
    observing.observe([published(is_anew=True)])
    observing.observe([started(retries=7)])

    assert (row("a").state, row("a").encoded_result) == (states.SUCCESS, "3")


def test_it_completes_what_a_result_backend_has_stored(
    observing: ObservingMirror, publishing: PublishingMirror
) -> None:
    publishing.store("a", SUCCESS)
    observing.observe([started()])
    observing.observe([succeeded()._replace(outcome=Outcome(states.SUCCESS))])

    found = row("a")
    assert (found.state, found.encoded_result, found.name, found.worker) == (
        states.SUCCESS,
        "3",
        "tests.add",
        "w1",
    )
    assert found.started_at is not None


def test_a_state_of_the_tasks_own_is_further_than_its_start(
    observing: ObservingMirror, publishing: PublishingMirror
) -> None:
    observing.observe([published()])
    publishing.store("a", Outcome("PROGRESS", "{}", "application/json"))
    observing.observe([started()])

    assert row("a").state == "PROGRESS"


@pytest.mark.parametrize(
    "late", [published(), received(), started(), succeeded()], ids=lambda late: late.state
)
def test_the_rows_of_the_ledger_are_the_ledgers(
    observing: ObservingMirror,
    publishing: PublishingMirror,
    working: WorkingMirror,
    lease: Lease,
    late: Sighting,
) -> None:
    made = record()
    publishing.record(made)
    claim = claimed(publishing, working, lease)
    for task_id in (made.id, claim.task_id):
        before = row(task_id)
        observing.observe([late._replace(id=task_id)])
        assert row(task_id).state == before.state
        assert row(task_id).message == before.message != ""


def test_a_worker_without_the_ledger_may_take_the_ledgers_message(
    observing: ObservingMirror, publishing: PublishingMirror, keeping: KeepingMirror
) -> None:
    made = record(expires="2020-01-01T00:00:00+00:00")
    publishing.record(made)

    observing.observe([received(made.id, run=1)])
    assert row(made.id).state == states.PENDING
    observing.observe([received(made.id, run=0)])

    assert (row(made.id).state, row(made.id).message) == (states.RECEIVED, "")
    assert keeping.expired(10) == []


def test_no_keeper_looks_at_an_observed_task(
    observing: ObservingMirror, publishing: PublishingMirror, keeping: KeepingMirror
) -> None:
    facts = {**FACTS, "expires": "2020-01-01T00:00:00+00:00"}
    observing.observe([published(facts=facts, route=Route(BROKER, "", "celery"))])

    assert lose(keeping) == 0
    assert keeping.due(BROKER, 10) == []
    assert keeping.waits(BROKER, -1.0) == []
    assert keeping.expired(10) == []
    assert publishing.resend(["a"]) == publishing.requeue(["a"]) == []


# From one broker to the other


def test_a_worker_with_the_ledger_adopts_an_observed_task(
    observing: ObservingMirror, publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = record("a")
    observing.observe([published()])

    publishing.adopt(made)
    (claim,) = working.claim([("a", 0)], lease.owner, lease.hostname)
    observing.observe([succeeded()])

    assert (row("a").state, row("a").message) == (states.RECEIVED, made.message)
    assert working.finish(claim, SUCCESS)


def test_adopting_leaves_the_ledgers_rows_alone(publishing: PublishingMirror) -> None:
    made = record("a")
    publishing.record(made)

    publishing.adopt(record("a", queue="other"))

    assert row("a").queue == "celery"


def test_an_observed_task_goes_on_by_the_ledger(
    observing: ObservingMirror, publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    observing.observe([started()])

    run = publishing.republish(record("a", retries=1))
    observing.observe([started()])  # written late

    assert (run, row("a").state) == (1, states.PENDING)
    assert working.claim([("a", 1)], lease.owner, lease.hostname)


def test_a_task_of_the_ledger_goes_on_by_another_broker(
    observing: ObservingMirror, publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease, retries=0)

    assert working.leave(claim, states.RETRY, 1)
    assert not working.progress(claim, Outcome(states.RETRY))
    observing.observe([received(claim.task_id, retries=1)])
    observing.observe([succeeded(claim.task_id, retries=1)])

    found = row(claim.task_id)
    assert (found.state, found.owner_id, found.run, found.broker) == (
        states.SUCCESS,
        None,
        1,
        ROUTE.broker,
    )
    assert not working.claim([(claim.task_id, 0)], lease.owner, lease.hostname)


def test_a_task_comes_back_before_it_was_left(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease, retries=0)

    run = publishing.rejoin(record(claim.task_id, retries=2))  # by the attempt after this one

    assert run == 1
    assert not working.leave(claim, states.RETRY, 1)
    assert row(claim.task_id).owner_id is None
    (again,) = working.claim([(claim.task_id, 1)], lease.owner, lease.hostname)
    assert publishing.rejoin(record(claim.task_id, retries=2)) is None  # another copy
    assert working.finish(again, SUCCESS)
    assert publishing.rejoin(record(claim.task_id, retries=3)) is None
