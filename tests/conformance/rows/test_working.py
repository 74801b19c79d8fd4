"""Workers: a claim is one worker's, and what it does not hold is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cq_compat import states
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, Outcome, PublishingMirror, WorkingMirror
from tests.conformance.rows.messages import claimed, record, row

SUCCESS = Outcome(states.SUCCESS, "3", "application/json", None, "[]")


@pytest.fixture
def claim(publishing: PublishingMirror, working: WorkingMirror, lease: Lease) -> Claim:
    return claimed(publishing, working, lease)


def test_claim_takes_a_batch(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = [record() for _ in range(3)]
    for each in made:
        publishing.record(each)
    wanted = [(each.id, 0) for each in made]

    claims = working.claim([*wanted, wanted[0], ("unknown", 0)], lease.owner, lease.hostname)

    assert sorted(claim.task_id for claim in claims) == sorted(each.id for each in made)
    assert {(claim.run, claim.fence, claim.owner) for claim in claims} == {(0, 1, lease.owner.hex)}
    found = row(made[0].id)
    assert (found.state, found.owner_id, found.worker) == (states.RECEIVED, lease.owner, "w1@test")
    assert found.received_at is not None and found.sent_at is not None


def test_claim_is_one_workers(
    working: WorkingMirror, claim: Claim, make_lease: Callable[[str], Lease]
) -> None:
    other = make_lease("w2@test")

    assert working.claim([(claim.task_id, 0)], other.owner, other.hostname) == []


def test_claim_needs_the_run_of_the_message(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = record()
    publishing.record(made)

    assert working.claim([(made.id, 1)], lease.owner, lease.hostname) == []


def test_claim_needs_a_lease(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = record()
    publishing.record(made)
    lease.end()

    assert working.claim([(made.id, 0)], lease.owner, lease.hostname) == []


def test_claim_leaves_finished_tasks_alone(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = record()
    publishing.record(made)
    publishing.store(made.id, SUCCESS)

    assert working.claim([(made.id, 0)], lease.owner, lease.hostname) == []


def test_start_happens_once(working: WorkingMirror, claim: Claim) -> None:
    assert working.start(claim, acks_late=True)
    assert not working.start(claim, acks_late=True)

    assert (row(claim.task_id).state, row(claim.task_id).acks_late) == (states.STARTED, True)


def test_start_needs_a_lease(working: WorkingMirror, claim: Claim, lease: Lease) -> None:
    lease.end()

    assert not working.start(claim, acks_late=False)


def test_finish_keeps_the_outcome(working: WorkingMirror, claim: Claim) -> None:
    assert working.progress(claim, Outcome("PROGRESS", "50", "application/json"))
    assert row(claim.task_id).state == "PROGRESS"

    assert working.finish(claim, SUCCESS)

    found = row(claim.task_id)
    assert (found.state, found.encoded_result, found.children) == (states.SUCCESS, "3", "[]")
    assert found.owner_id is None and found.finished_at >= found.received_at


@pytest.mark.parametrize("wrong", ["fence", "run"])
def test_outcomes_need_the_claim(working: WorkingMirror, claim: Claim, wrong: str) -> None:
    stale = replace(claim, **{wrong: 7})

    assert not working.finish(stale, SUCCESS)
    assert not working.settle(stale, states.IGNORED)
    assert working.finish(claim, SUCCESS)


def test_an_outcome_is_for_good(working: WorkingMirror, claim: Claim) -> None:
    assert working.finish(claim, SUCCESS)

    assert not working.finish(claim, Outcome(states.FAILURE))
    assert not working.progress(claim, Outcome(states.RETRY))
    assert not working.settle(claim, states.IGNORED)
    assert not working.hand_back(claim, max_deaths=3)
    assert row(claim.task_id).state == states.SUCCESS


def test_settle_keeps_a_state_of_the_bodys_own(working: WorkingMirror, claim: Claim) -> None:
    working.start(claim, acks_late=False)
    working.progress(claim, Outcome("HALTED"))

    assert working.settle(claim, states.IGNORED)
    assert (row(claim.task_id).state, row(claim.task_id).ended_as) == ("HALTED", "HALTED")


@pytest.mark.parametrize(("acks_late", "runs_again"), [(False, False), (True, True)])
def test_hand_back_of_a_begun_body(
    working: WorkingMirror, claim: Claim, lease: Lease, acks_late: bool, runs_again: bool
) -> None:
    working.start(claim, acks_late=acks_late)

    assert working.hand_back(claim, max_deaths=3) is runs_again
    assert bool(working.claim([(claim.task_id, 0)], lease.owner, "w")) is runs_again
