"""Keepers: what is due, what the layer has lost, and what dead workers have left."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from cq_compat import states
from cq_compat.database import OwnConnection
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, Outcome, Route, WorkingMirror
from cq_compat.records import PUBLISHER_TIME
from tests.conformance.rows.messages import BROKER, claimed, lose, record, row
from tests.servers.waiting import wait_until

LIMIT = 10


def test_due_rows_are_those_whose_time_has_come(keeping: KeepingMirror) -> None:
    late, far, sent = record(), record(eta="2099-01-01T00:00:00+00:00"), record()
    keeping.record(late)
    keeping.record(far)
    keeping.record(sent, sent=True)
    assert keeping.due(BROKER, LIMIT) == []  # the publisher has its time

    keeping.record(sent)
    with keeping.connection.transaction():
        keeping.connection.execute(
            "UPDATE cq_task SET due_at = created_at WHERE id = %s", [late.id]
        )
        (due,) = keeping.due(BROKER, LIMIT)

    assert (due.id, due.run, due.queue, due.priority, due.message) == (
        *(late.id, 0, "celery", 3),
        late.message,
    )
    assert keeping.due("channels://other", LIMIT) == []


def test_due_rows_are_one_keepers(keeping: KeepingMirror, connection: OwnConnection) -> None:
    made = record()
    keeping.record(made, sent=True)
    assert lose(keeping) == 1
    other = OwnConnection()
    # SQLite has one writer at a time, and a reader that is none sees what was committed.
    seen_by_others = [made.id] if connection.vendor == "sqlite" else []
    try:
        with connection.transaction():
            assert [due.id for due in keeping.due(BROKER, LIMIT)] == [made.id]
            assert [due.id for due in KeepingMirror(other).due(BROKER, LIMIT)] == seen_by_others
    finally:
        other.close()


def test_what_the_layer_lost_is_sent_again(
    keeping: KeepingMirror, working: WorkingMirror, lease: Lease
) -> None:
    sent, taken = record(), claimed(keeping, working, lease)
    keeping.record(sent, sent=True)

    assert keeping.unsend_lost("channels://other") == 0
    assert keeping.unsend_lost(BROKER) == 0  # it has lost nothing yet
    assert lose(keeping) == 1

    assert row(sent.id).sent_at is None
    assert row(taken.task_id).sent_at is not None


def test_what_was_lost_between_the_send_and_its_note_is_sent_again(keeping: KeepingMirror) -> None:
    slow, quick = record(), record()
    for made in (slow, quick):
        keeping.record(made)
    assert lose(keeping) == 0

    keeping.mark_sent([(slow.id, 0)], ago=60)
    keeping.mark_sent([(quick.id, 0)], ago=-60)  # SQLite's clock has milliseconds

    assert keeping.unsend_lost(BROKER) == 1
    assert row(slow.id).sent_at is None and row(quick.id).sent_at is not None


def test_a_note_that_comes_after_a_claim_says_nothing(
    keeping: KeepingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(keeping, working, lease)
    assert working.hand_back(claim, max_deaths=3)

    assert keeping.mark_sent([(claim.task_id, 0)], ago=60) == 0
    assert keeping.mark_sent([(claim.task_id, 0)], ago=-60) == 1  # of a send that begins later


def test_rows_behind_a_full_queue_are_found(keeping: KeepingMirror, connection: Any) -> None:
    mails, urgent, later = record(queue="mails"), record(queue="mails"), record()
    assert keeping.due_in(BROKER) is None
    for made in (mails, urgent, later):
        keeping.record(made)
    connection.execute("UPDATE cq_task SET due_at = created_at WHERE queue = 'mails'", [])
    connection.execute("UPDATE cq_task SET priority = 9 WHERE id = %s", [urgent.id])
    full = {Route("", "mails", 3), Route("topics", "celery", 3)}

    assert (keeping.due_in(BROKER) or 0.0) <= 0.0
    with connection.transaction():
        assert {due.id for due in keeping.due(BROKER, LIMIT)} == {mails.id, urgent.id}
        assert [due.id for due in keeping.due(BROKER, LIMIT, full)] == [urgent.id]
    assert 0.0 < (keeping.due_in(BROKER, {*full, Route("", "mails", 9)}) or 0.0) <= PUBLISHER_TIME


def test_what_a_queue_lost_is_sent_again(keeping: KeepingMirror) -> None:
    here, there, routed = record(), record(queue="other"), record(exchange="topics")
    for made in (here, there, routed):
        keeping.record(made, sent=True)

    way = Route("", "celery", 3)
    assert keeping.waits(BROKER, age=60) == []
    assert {wait.route for wait in keeping.waits(BROKER, age=-60)} == {
        *(way, Route("", "other", 3)),
        Route("topics", "celery", 3),
    }
    assert keeping.unsend_route(BROKER, way, age=60) == 0
    assert keeping.unsend_route(BROKER, way, age=-60) == 1
    assert row(here.id).sent_at is None and row(there.id).sent_at is not None


def test_a_dead_workers_tasks_are_found_and_released(
    keeping: KeepingMirror, working: WorkingMirror, make_lease: Callable[[str], Lease]
) -> None:
    dying, living = make_lease("w1@test"), make_lease("w2@test")
    received, begun = claimed(keeping, working, dying), claimed(keeping, working, dying)
    claimed(keeping, working, living)
    working.start(begun, acks_late=True)
    assert keeping.orphans(LIMIT) == []
    dying.end()

    # A millisecond is as fine as SQLite's clock is.
    orphans = {orphan.id: orphan for orphan in wait_until(lambda: keeping.orphans(LIMIT))}

    assert set(orphans) == {received.task_id, begun.task_id}
    assert [orphans[claim.task_id].has_begun for claim in (received, begun)] == [False, True]
    assert all(keeping.release(orphan) for orphan in orphans.values())
    assert not any(keeping.release(orphan) for orphan in orphans.values())
    assert [row(claim.task_id).deaths for claim in (received, begun)] == [0, 1]
    assert not working.finish(begun, Outcome(states.SUCCESS))
    assert keeping.orphans(LIMIT) == []


def test_a_dead_workers_task_is_taken_over_to_be_ended(
    keeping: KeepingMirror, working: WorkingMirror, make_lease: Callable[[str], Lease]
) -> None:
    dying = make_lease("w1@test")
    stale = claimed(keeping, working, dying)
    dying.end()
    (orphan,) = wait_until(lambda: keeping.orphans(LIMIT))

    claim = keeping.take_over(orphan, uuid4())

    assert claim is not None and keeping.take_over(orphan, uuid4()) is None
    assert not working.finish(stale, Outcome(states.SUCCESS))
    assert working.finish(claim, Outcome(states.FAILURE))


def test_expired_tasks_are_those_that_nobody_has(
    keeping: KeepingMirror, working: WorkingMirror, lease: Lease
) -> None:
    late = record(expires="2020-01-01T00:00:00+00:00")
    keeping.record(late)
    keeping.record(record(expires="2099-01-01T00:00:00+00:00"))
    claimed(keeping, working, lease, expires="2020-01-01T00:00:00+00:00")

    assert keeping.expired(LIMIT) == [late.id]


def test_a_lease_lasts_while_it_is_renewed(lease: Lease, connection: OwnConnection) -> None:
    owner = lease.owner
    lease.renew()
    assert lease.owner == owner

    connection.execute(f"UPDATE cq_worker SET stopped_at = {KeepingMirror(connection).now}", [])
    lease.renew()

    assert lease.owner != owner  # it was given up, so it begins as another
