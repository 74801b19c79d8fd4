"""What metrics are fed with: each signal, when it is sent, and that it breaks nothing."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import Reject

from cq_compat import operations, signals, states
from cq_compat.database import OwnConnection
from cq_compat.guards import guard_starts
from cq_compat.keeper.losses import EpochWatch, QueueWatch
from cq_compat.keeper.reaping import Reaping
from cq_compat.keeper.ringing import Ringing
from cq_compat.lease import Lease
from cq_compat.ledger import RowLedger
from cq_compat.mirror import KeepingMirror, Outcome, PublishingMirror, WorkingMirror
from cq_compat.models import Layer
from cq_compat.signals import TaskSignal
from cq_transport.envelope import Envelope, from_text
from tests.conformance.rows.messages import BROKER, claimed, record, row
from tests.conformance.rows.test_ringing import Rooms
from tests.servers.waiting import wait_until

SIGNALS = {name: found for name, found in vars(signals).items() if isinstance(found, TaskSignal)}
SUCCESS = Outcome(states.SUCCESS, "1", "application/json")


class Told(NamedTuple):
    """A signal that was sent."""

    name: str
    facts: dict[str, Any]


@pytest.fixture
def told() -> Iterator[list[Told]]:
    """All that is told, in its order."""
    heard: list[Told] = []
    receivers: list[tuple[TaskSignal, Any]] = []

    def listen(name: str, signal: TaskSignal) -> None:
        def hear(sender: Any, signal: Any, **facts: Any) -> None:
            heard.append(Told(name, facts))

        receivers.append((signal, hear))
        signal.connect(hear)

    for name, found in SIGNALS.items():
        listen(name, found)
    yield heard
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def nothing() -> None:
    """Be the body of a task."""


def facts_of(task_id: str) -> dict[str, Any]:
    """Return what every signal says of a task."""
    return {"task_id": task_id, "name": "tests.add", "queue": "celery"}


def test_an_end_is_told_with_its_times(
    told: list[Told], publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    assert working.start(claim, acks_late=False)
    publishing.update("created_at = " + publishing.later, [-60], "id = %s", [claim.task_id])
    publishing.update("started_at = " + publishing.later, [-20], "id = %s", [claim.task_id])

    assert working.finish(claim, SUCCESS)
    assert not working.finish(claim, SUCCESS)

    [(name, facts)] = told
    waited, ran = facts.pop("waited"), facts.pop("ran")
    assert name == "task_finished"
    assert facts == {**facts_of(claim.task_id), "state": states.SUCCESS}
    assert (round(waited), round(ran)) == (40, 20)


def test_every_way_to_end_is_told(
    told: list[Told], publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claims = [claimed(publishing, working, lease) for _ in range(4)]
    working.settle(claims[0], states.IGNORED)
    working.end_of(lease.owner, claims[1].task_id, Outcome(states.FAILURE))
    operations.revoke([claims[2].task_id])
    publishing.store(claims[3].task_id, SUCCESS)
    publishing.store("stored", Outcome(states.FAILURE))
    publishing.store("going on", Outcome("PROGRESS"))

    ids = [claim.task_id for claim in claims]
    assert [one.facts["task_id"] for one in told] == [*ids, "stored"]
    assert [one.facts["state"] for one in told[2:]] == [
        *(states.REVOKED, states.SUCCESS),
        states.FAILURE,
    ]
    assert told[2].facts["ran"] is None


def test_nothing_is_told_before_the_commit(
    told: list[Told], publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    kept, undone = claimed(publishing, working, lease), claimed(publishing, working, lease)
    with publishing.connection.transaction():
        working.finish(kept, SUCCESS)
        assert not told
    with suppress(LookupError), publishing.connection.transaction():
        working.finish(undone, SUCCESS)
        raise LookupError

    assert [one.facts["task_id"] for one in told] == [kept.task_id]
    assert row(undone.task_id).state == states.RECEIVED


def test_refused_copies_are_told_with_the_reason(
    told: list[Told], publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    made = {name: record() for name in ("free", "claimed", "finished", "superseded", "unknown")}
    for name, one in made.items():
        assert name == "unknown" or publishing.record(one)
    working.claim([(made["claimed"].id, 0)], lease.owner, lease.hostname)
    publishing.store(made["finished"].id, SUCCESS)
    publishing.update("run = 1", [], "id = %s", [made["superseded"].id])
    told.clear()
    ledger = RowLedger()
    ledger.lease = lease

    answers = ledger.claim(BROKER, [sent(one.message) for one in made.values()])

    assert answers == [True, False, False, False, False]
    assert [one.name for one in told] == ["task_claimed", *["copy_refused"] * 4]
    assert [one.facts["reason"] for one in told[1:]] == list(made)[1:]
    assert told[0].facts == facts_of(made["free"].id)


def sent(message: str) -> Envelope:
    """Return a message as its worker gets it."""
    envelope = from_text(message)
    envelope["headers"]["cq"] = {"run": 0}
    envelope["properties"]["delivery_info"] = {"exchange": "", "routing_key": "celery"}
    return envelope


def test_a_refused_start_is_told(
    told: list[Told], publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    claim = claimed(publishing, working, lease)
    working.hand_back(claim, max_deaths=3)
    with Celery("refused", set_as_current=False) as app:
        task = app.task(name="tests.add")(nothing)
        guard_starts(app)
        context = {"id": claim.task_id, "called_directly": False, "cq": claim.header()}
        task.push_request(**context, delivery_info={"routing_key": "celery"})
        with pytest.raises(Reject):
            app.loader.on_task_init(claim.task_id, task)
    assert told == [Told("start_refused", facts_of(claim.task_id))]


class Losing(Rooms):
    """A layer that has lost everything."""

    def epoch(self) -> str:
        """Return another name each time."""
        return uuid4().hex

    def size(self, queue: str) -> int:
        """Nothing is left."""
        return 0


def test_what_keepers_do_is_told(
    told: list[Told],
    keeping: KeepingMirror,
    working: WorkingMirror,
    lease: Lease,
    connection: OwnConnection,
) -> None:
    Layer.objects.create(broker=BROKER, epoch="an earlier one")
    sent_before, later = record(), record(eta="2020-01-01T00:00:00+00:00")
    keeping.record(sent_before, sent=True)
    keeping.record(later)
    orphan = claimed(keeping, working, lease)
    keeping.update(f"due_at = {keeping.later}", [-60], "id = %s", [later.id])
    connection.execute("UPDATE cq_worker SET lease_until = started_at", [])
    layer: Any = Losing(celery=10)
    ringing = Ringing(BROKER, layer, connection)
    with Celery("kept", set_as_current=False) as app:
        reaping = Reaping(app, lease, connection, ringing)
        wait_until(lambda: reaping.run_once() or told)
    EpochWatch(BROKER, layer, connection, ringing).run_once()
    keeping.record(lost := record(), sent=True)
    keeping.update(f"sent_at = {keeping.later}", [-60], "id = %s", [lost.id])
    QueueWatch(BROKER, layer, connection, ringing).run_once()
    assert ringing.run_once()

    reaped, *losses = told[:3]
    assert reaped == Told(
        "task_reaped",
        {**facts_of(orphan.task_id), "worker": lease.hostname, "runs_again": True},
    )
    shared = {"broker": BROKER, "count": 1}
    assert losses == [
        Told("messages_lost", {**shared, "queue": None, "reason": "epoch"}),
        Told("messages_lost", {**shared, "queue": "celery", "reason": "empty"}),
    ]
    assert {one.facts["task_id"]: one.facts["reason"] for one in told[3:]} == {
        **dict.fromkeys((orphan.task_id, sent_before.id, lost.id), "unsent"),
        later.id: "due",
    }


def test_who_listens_and_fails_breaks_nothing(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    def fail(**facts: Any) -> None:
        raise ValueError(facts["task_id"])

    claim = claimed(publishing, working, lease)
    signals.task_finished.connect(fail)
    try:
        assert working.finish(claim, SUCCESS)
    finally:
        signals.task_finished.disconnect(fail)
    assert row(claim.task_id).state == states.SUCCESS


def test_without_listeners_nothing_is_asked(
    publishing: PublishingMirror, lease: Lease, database: str
) -> None:
    class Counting(OwnConnection):
        statements = 0

        def _run(self, *args: Any) -> Any:
            self.statements += 1
            return super()._run(*args)

    connection = Counting()
    working = WorkingMirror(connection)
    try:
        claim = claimed(publishing, working, lease)
        assert working.finish(claim, SUCCESS)
        # A database that returns no rows is asked for them: before and after the change.
        assert connection.statements == (2 if working.dialect.has_returning else 5)
    finally:
        connection.close()
