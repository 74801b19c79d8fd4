"""What operators do: retry, requeue, revoke, forget; prune, recover; and what they are shown."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from cq_compat import operations, states, walk
from cq_compat.errors import MessageMissing, TaskClaimed, TaskFinished, TaskNotFinished
from cq_compat.lease import Lease
from cq_compat.mirror import Outcome, PublishingMirror, WorkingMirror
from cq_compat.models import Task, Worker
from cq_compat.pruning import prune, prune_remains
from cq_compat.recovery import recover
from cq_compat.retention import Rule, rules
from cq_compat.status import status
from tests.conformance.rows.conftest import ALIAS
from tests.conformance.rows.messages import BROKER, claimed, record, row

DAY = 86_400.0


def nothing() -> None:
    """Be the body of a task."""


FAILURE = Outcome(states.FAILURE, '{"exc_type": "ValueError"}', "application/json", "Traceback")


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery("operated", set_as_current=False) as app:
        app.conf.update(broker_url="memory://", result_backend="cq", result_expires=DAY)
        yield app


@pytest.fixture
def failed(publishing: PublishingMirror, working: WorkingMirror, lease: Lease) -> Task:
    claim = claimed(publishing, working, lease, retries=3, expires="2099-01-01T00:00:00+00:00")
    assert working.finish(claim, FAILURE)
    return row(claim.task_id)


@pytest.fixture
def sent(publishing: PublishingMirror) -> Task:
    made = record()
    publishing.record(made, sent=True)
    return row(made.id)


@pytest.fixture
def running(publishing: PublishingMirror, working: WorkingMirror, lease: Lease) -> Task:
    claim = claimed(publishing, working, lease)
    assert working.start(claim, acks_late=False)
    return row(claim.task_id)


def run(command: str, *args: str) -> str:
    """Return what a command prints."""
    out = StringIO()
    call_command(command, *args, stdout=out, no_color=True)
    return out.getvalue()


def age(seconds: float, **which: Any) -> None:
    """Let tasks have ended so many seconds ago."""
    for task in Task.objects.using(ALIAS).filter(**which):
        assert task.finished_at is not None
        earlier = task.finished_at - timedelta(seconds=seconds)
        Task.objects.filter(pk=task.pk).update(finished_at=earlier)


def test_a_retry_begins_from_the_beginning(failed: Task, sent: Task, running: Task) -> None:
    assert failed.ended_as == states.FAILURE

    assert operations.retry([failed.pk, sent.pk, running.pk, "unknown"]) == [failed.pk]

    again = row(failed.pk)
    assert (again.state, again.ended_as, again.encoded_result, again.traceback) == (
        *(states.PENDING, None),
        *(None, None),
    )
    assert (again.run, again.retries, again.expires_at, again.sent_at) == (1, 0, None, None)
    assert again.fence > failed.fence
    assert row(running.pk).state == states.STARTED


def test_a_single_retry_says_why_not(failed: Task, running: Task, working: WorkingMirror) -> None:
    failed.retry()
    assert failed.state == states.PENDING  # read anew

    with pytest.raises(TaskNotFinished, match="is STARTED"):
        running.retry()

    working.update("message = '', finished_at = created_at", [], "id = %s", [failed.pk])
    with pytest.raises(MessageMissing):
        failed.retry()


def test_a_revoked_task_does_not_start(
    sent: Task, running: Task, failed: Task, working: WorkingMirror, lease: Lease
) -> None:
    queryset = Task.objects.filter(pk__in=[sent.pk, running.pk, failed.pk])

    assert queryset.revoke("no more of these") == 2

    assert row(sent.pk).state == row(running.pk).state == states.REVOKED
    assert row(sent.pk).ended_as == states.REVOKED
    assert TaskRevokedError.__name__ in (row(sent.pk).encoded_result or "")
    assert "no more of these" in (row(sent.pk).encoded_result or "")
    assert row(failed.pk).state == states.FAILURE
    assert working.claim([(sent.pk, 0)], lease.owner, lease.hostname) == []
    with pytest.raises(TaskFinished, match="is FAILURE"):
        failed.revoke()


def test_a_requeued_task_is_sent_again(sent: Task, running: Task, failed: Task) -> None:
    assert operations.requeue([sent.pk, running.pk, failed.pk]) == [sent.pk]
    assert row(sent.pk).sent_at is None

    with pytest.raises(TaskClaimed):
        sent.requeue()  # it will be, anyway
    with pytest.raises(TaskClaimed):
        running.requeue()
    with pytest.raises(TaskFinished):
        failed.requeue()


def test_a_moved_task_is_left_to_others(
    sent: Task, running: Task, publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    assert not publishing.move(running.pk, 0, "redis://")
    assert not publishing.move(sent.pk, 1, "redis://")  # it has been published anew

    assert publishing.move(sent.pk, 0, "redis://")

    moved = row(sent.pk)
    assert (moved.broker, moved.message, moved.run, moved.due_at) == ("redis://", "", 1, None)
    assert working.claim([(sent.pk, 0)], lease.owner, lease.hostname) == []
    assert not publishing.move(sent.pk, 1, "redis://")


def test_forgotten_tasks_are_gone(sent: Task, failed: Task) -> None:
    with pytest.raises(TaskNotFinished):
        sent.forget()

    assert Task.objects.all().forget() == 1

    assert list(Task.objects.values_list("pk", flat=True)) == [sent.pk]


def test_many_are_changed_some_at_a_time(
    publishing: PublishingMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 2)
    for _ in range(5):
        publishing.record(record(), sent=True)

    assert Task.objects.all().requeue() == 5
    assert Task.objects.all().revoke() == 5
    assert Task.objects.failed().count() == 5
    assert Task.objects.all().retry() == 5


def end(publishing: PublishingMirror, state: str, name: str = "tests.add", ago: float = 0) -> str:
    """Make a task that ended some seconds ago."""
    task_id = str(uuid4())
    made = record(task_id, task=name)
    publishing.record(made)
    publishing.store(task_id, Outcome(state))
    age(ago, pk=task_id)
    return task_id


def test_retention_is_by_task_then_by_state_then_by_age(
    publishing: PublishingMirror, sent: Task, app: Celery, settings: Any
) -> None:
    settings.CQ = {"DATABASE": ALIAS, "RETENTION": {"FAILURE": None, "REVOKED": 60}}
    app.task(name="tests.short", shared=False, retention=10)(nothing)
    app.task(name="tests.kept", shared=False, retention={"SUCCESS": None})(nothing)
    kept = [
        end(publishing, states.FAILURE, ago=100 * DAY),
        end(publishing, states.SUCCESS, "tests.kept", ago=100 * DAY),
        end(publishing, states.SUCCESS, ago=DAY - 60),
        end(publishing, states.REVOKED, ago=30),
        end(publishing, states.SUCCESS, "tests.short", ago=5),
    ]
    for state, name, ago in (
        (states.SUCCESS, "tests.add", DAY + 60),
        (states.REVOKED, "tests.kept", 90.0),
        (states.FAILURE, "tests.short", 20.0),
    ):
        end(publishing, state, name, ago)

    app.backend.cleanup()

    assert set(Task.objects.values_list("pk", flat=True)) == {sent.pk, *kept}


def test_failures_may_expire_as_celery_says(publishing: PublishingMirror, app: Celery) -> None:
    app.conf.result_failure_expires = timedelta(days=7)
    kept = end(publishing, states.FAILURE, ago=6 * DAY)
    end(publishing, states.FAILURE, ago=8 * DAY)
    end(publishing, states.SUCCESS, ago=2 * DAY)

    app.backend.cleanup()

    assert set(Task.objects.values_list("pk", flat=True)) == {kept}
    app.conf.result_failure_expires = 0
    of_any_task = [rule for rule in rules(app, DAY) if not rule.name]  # shared ones of other tests
    assert of_any_task == [Rule(None, states.FAILURE), Rule(DAY)]


def test_pruning_goes_on_behind_what_it_keeps(
    publishing: PublishingMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "CHUNK", 2)
    kept = [end(publishing, states.FAILURE) for _ in range(3)]
    gone = [end(publishing, states.SUCCESS) for _ in range(5)]
    # All at the same time: the ids alone say where the walk was.
    publishing.update("finished_at = '2020-01-01 00:00:00.123'", [], "1 = 1", [])
    rule = [Rule(60.0, states.SUCCESS), Rule(None)]

    assert prune(rule, dry_run=True) == len(gone) == prune(rule)

    assert set(Task.objects.values_list("pk", flat=True)) == set(kept)
    assert prune([Rule(None)]) == 0


def test_an_option_that_is_no_age_is_refused(app: Celery) -> None:
    app.task(name="tests.wrong", shared=False, retention="soon")(nothing)
    with pytest.raises(ImproperlyConfigured, match=r"tests\.wrong"):
        rules(app, None)


def test_workers_that_are_long_gone_are_forgotten(
    make_lease: Callable[[str], Lease], publishing: PublishingMirror
) -> None:
    make_lease("w1@test")
    make_lease("w2@test")
    publishing.connection.execute(
        "UPDATE cq_worker SET stopped_at = '2020-01-01 00:00:00' WHERE hostname = %s", ["w2@test"]
    )

    prune_remains(DAY)

    assert [worker.hostname for worker in Worker.objects.all()] == ["w1@test"]


def test_recovery_has_all_sent_again_that_nobody_has(
    publishing: PublishingMirror,
    sent: Task,
    running: Task,
    failed: Task,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "CHUNK", 1)
    other, planned = record(queue="other"), record(eta="2099-01-01T00:00:00+00:00")
    publishing.record(other, sent=True)
    publishing.record(planned)
    before = row(planned.id).due_at

    assert recover(dry_run=True) == 2
    assert row(sent.pk).sent_at is not None
    assert "1 tasks will be sent again" in run("cq_recover", "--queue", "other")
    assert row(other.id).sent_at is None
    assert row(sent.pk).sent_at is not None
    assert recover("channels://elsewhere") == 0
    assert recover(BROKER) == 1

    assert row(sent.pk).sent_at is None
    assert row(planned.id).due_at == before
    assert row(running.pk).state == states.STARTED


def test_status(sent: Task, running: Task, failed: Task, publishing: PublishingMirror) -> None:
    publishing.record(record(queue="later", eta="2099-01-01T00:00:00+00:00"))

    found = json.loads(run("cq_status", "--json"))

    assert found == json.loads(json.dumps(found))
    assert list(found) == ["queues", "workers", "layers", "beats"]
    celery, later = found["queues"]
    assert (celery["broker"], celery["queue"]) == (BROKER, "celery")
    assert celery["states"] == {states.PENDING: 1, states.STARTED: 1}
    assert (celery["waiting"], celery["scheduled"]) == (1, 0)
    assert 0 <= celery["oldest_waiting"] < 600
    assert (later["queue"], later["waiting"], later["scheduled"]) == ("later", 0, 1)
    (worker,) = found["workers"]
    assert (worker["hostname"], worker["alive"], worker["tasks"]) == ("w1@test", True, 1)
    assert 0 < worker["lease"] <= 20
    text = run("cq_status")
    assert "PENDING 1, STARTED 1" in text and "w1@test" in text


def test_status_names_the_leader(lease: Lease, publishing: PublishingMirror) -> None:
    now = publishing.later.replace("%s", "60")
    publishing.connection.execute(
        "INSERT INTO cq_layer (broker, epoch, leader, leads_until) "
        f"VALUES (%s, 'epoch-1', %s, {now})",
        [BROKER, publishing.uuid(lease.owner)],
    )
    (layer,) = status()["layers"]
    assert (layer["leader"], layer["epoch"]) == ("w1@test", "epoch-1")
    assert 0 < layer["leads_for"] <= 60


def test_status_names_the_beat(publishing: PublishingMirror) -> None:
    assert "BEAT" not in run("cq_status")
    later = publishing.later.replace("%s", "60")
    publishing.connection.execute(
        f"INSERT INTO cq_beat (id, hostname, pid, leads_until) VALUES (1, 'host1', 17, {later})", []
    )
    (beat,) = status()["beats"]
    assert (beat["hostname"], beat["pid"]) == ("host1", 17)
    assert 0 < beat["leads_for"] <= 60
    assert "host1" in run("cq_status")


def test_prune_command(publishing: PublishingMirror, sent: Task) -> None:
    old = end(publishing, states.FAILURE, ago=3600)
    end(publishing, states.SUCCESS, ago=3600)

    assert "1 tasks would be" in run(
        "cq_prune", "--older-than", "30m", "--state", "SUCCESS", "--dry-run"
    )
    assert "1 tasks are" in run("cq_prune", "--older-than", "30m", "--state", "SUCCESS")
    assert "0 tasks are" in run("cq_prune", "--older-than", "2h")

    assert set(Task.objects.values_list("pk", flat=True)) == {sent.pk, old}
    with pytest.raises(CommandError, match="no age"):
        run("cq_prune", "--older-than", "soon")
