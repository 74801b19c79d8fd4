"""Publishers and operators: what changes a row without a claim."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from django.db import DatabaseError

from cq_compat import states
from cq_compat.lease import Lease
from cq_compat.mirror import Outcome, PublishingMirror, WorkingMirror
from tests.conformance.rows.messages import claimed, record, row

SUCCESS = Outcome(states.SUCCESS, "3", "application/json")


def test_record_keeps_the_message(publishing: PublishingMirror) -> None:
    made = record(queue="other", parent_id="p", root_id="r", group="g", retries=2)

    assert publishing.record(made)

    found = row(made.id)
    assert (found.name, found.args, found.queue, found.priority) == (
        "tests.add",
        "(1, 2)",
        "other",
        3,
    )
    assert (found.parent_id, found.root_id, found.group_id, found.retries) == ("p", "r", "g", 2)
    assert found.message == made.message
    assert (found.state, found.run, found.fence, found.owner_id) == (states.PENDING, 0, 0, None)
    assert found.sent_at is None and found.finished_at is None


def test_record_takes_an_id_once(publishing: PublishingMirror) -> None:
    made = record()

    assert publishing.record(made)
    assert not publishing.record(record(made.id, queue="other"))

    assert row(made.id).queue == "celery"


def test_record_refuses_what_does_not_fit(publishing: PublishingMirror, database: str) -> None:
    made = record("x" * 256)
    if publishing.connection.vendor == "sqlite":  # its columns have no width
        assert publishing.record(made)
    else:
        with pytest.raises(DatabaseError):
            publishing.record(made)


@pytest.mark.parametrize("text", ["", "é — 漢字 🐘", "a\0b", "\ud800", "%s %% {}", "x" * 100_000])
def test_record_keeps_any_text(publishing: PublishingMirror, text: str) -> None:
    made = record(argsrepr=text, stamps={"text": text})

    assert publishing.record(made)

    assert row(made.id).message == made.message
    assert row(made.id).args == made.args


def test_times_are_kept_to_the_second_or_better(publishing: PublishingMirror) -> None:
    eta = datetime(2030, 1, 2, 3, 4, 5, 678000, timezone.utc)
    made = record(eta=eta.isoformat(), expires=(eta + timedelta(hours=1)).isoformat())

    publishing.record(made)

    assert (row(made.id).eta, row(made.id).expires_at) == (eta, eta + timedelta(hours=1))
    assert row(made.id).due_at > row(made.id).created_at + timedelta(days=1)


def test_mark_sent_knows_the_run(publishing: PublishingMirror) -> None:
    first, second = record(), record()
    publishing.record(first)
    publishing.record(second)

    assert publishing.mark_sent([(first.id, 0), (second.id, 1), ("unknown", 0)]) == 1

    assert row(first.id).sent_at is not None
    assert row(second.id).sent_at is None


def test_rerun_needs_the_claim(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    again = record(claim.task_id, retries=1)

    assert publishing.rerun(again, claim, states.RETRY) == 1
    assert publishing.rerun(again, claim, states.RETRY) is None

    found = row(claim.task_id)
    assert (found.state, found.run, found.retries, found.owner_id) == (states.RETRY, 1, 1, None)
    assert not working.finish(claim, SUCCESS)


def test_republish_goes_on_where_a_body_has_left_the_outcome_to_others(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    working.start(claim, acks_late=False)
    working.settle(claim, states.IGNORED)
    last = record(claim.task_id, replaced_task_nesting=1)

    assert publishing.republish(last) == 1
    assert publishing.republish(last) is None

    found = row(claim.task_id)
    assert (found.state, found.finished_at, found.ended_as) == (states.PENDING, None, None)
    assert working.claim([(claim.task_id, 1)], lease.owner, lease.hostname)


def test_republish_takes_a_row_that_was_stored_and_never_sent(publishing: PublishingMirror) -> None:
    made = record()
    publishing.store(made.id, Outcome(states.FAILURE))

    assert publishing.republish(made) == 1
    assert (row(made.id).message, row(made.id).finished_at) == (made.message, None)


@pytest.mark.parametrize("nesting", [0, 1])
def test_republish_leaves_an_outcome_alone(publishing: PublishingMirror, nesting: int) -> None:
    made = record()
    publishing.record(made)
    publishing.store(made.id, SUCCESS)

    assert publishing.republish(record(made.id, replaced_task_nesting=nesting)) is None
    assert row(made.id).state == states.SUCCESS


def test_store_ends_a_task_once(publishing: PublishingMirror) -> None:
    made = record()
    publishing.record(made)

    assert publishing.store(made.id, SUCCESS)
    assert not publishing.store(made.id, Outcome(states.FAILURE))

    found = row(made.id)
    assert (found.state, found.encoded_result, found.ended_as) == (states.SUCCESS, "3", None)
    assert found.finished_at is not None


def test_store_makes_a_row_of_an_unknown_id(publishing: PublishingMirror) -> None:
    assert publishing.store("somebody", Outcome("PROGRESS", "1", "application/json"))
    assert (row("somebody").state, row("somebody").finished_at) == ("PROGRESS", None)

    assert publishing.store("somebody", Outcome(states.FAILURE))
    assert row("somebody").ended_as == states.FAILURE


def test_store_completes_what_a_body_has_ignored(publishing: PublishingMirror) -> None:
    publishing.store("somebody", Outcome(states.IGNORED))

    assert publishing.store("somebody", SUCCESS)
    assert row("somebody").state == states.SUCCESS


def test_revoke_ends_what_has_not_ended(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    publishing.store("done", SUCCESS)

    assert publishing.revoke([claim.task_id, "done", "unknown"], Outcome(states.REVOKED)) == [
        claim.task_id
    ]

    assert not working.start(claim, acks_late=False)
    assert not working.finish(claim, SUCCESS)
    assert (row(claim.task_id).state, row("done").state) == (states.REVOKED, states.SUCCESS)


def test_requeue_begins_anew(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    assert publishing.requeue([claim.task_id]) == []
    working.finish(claim, Outcome(states.FAILURE, "{}", "application/json", "Traceback"))
    publishing.store("stored", SUCCESS)  # it has no message

    assert publishing.requeue([claim.task_id, "stored"]) == [claim.task_id]

    found = row(claim.task_id)
    assert (found.state, found.run, found.ended_as) == (states.PENDING, 1, None)
    assert (found.encoded_result, found.traceback, found.finished_at) == (None, None, None)


def test_resend_leaves_a_worker_its_task(
    publishing: PublishingMirror, working: WorkingMirror, make_lease: Callable[[], Lease]
) -> None:
    claim = claimed(publishing, working, make_lease())
    waiting = record()
    publishing.record(waiting, sent=True)

    assert publishing.resend([claim.task_id, waiting.id]) == [waiting.id]
    assert row(waiting.id).sent_at is None


def test_forget_keeps_what_has_not_ended(publishing: PublishingMirror) -> None:
    made = record()
    publishing.record(made)
    publishing.store("done", SUCCESS)

    assert publishing.forget([made.id, "done"]) == ["done"]
    assert row(made.id)
