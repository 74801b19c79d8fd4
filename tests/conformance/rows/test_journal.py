"""What tasks say, in every kind of database: lines, steps, their bounds and their end."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.db import connections, transaction

from cq_compat import states
from cq_compat.backend import CqBackend
from cq_compat.database import OwnConnection, own_connection
from cq_compat.lease import Lease
from cq_compat.mirror import Outcome, PublishingMirror, WorkingMirror
from cq_compat.mirror.journal import JournalMirror
from cq_compat.models import Task, TaskLog
from cq_compat.native.journal import Journal, Line
from cq_compat.native.journal_writer import journal_writer
from cq_compat.native.running import handle
from cq_compat.pruning import prune, prune_remains
from cq_compat.retention import Rule
from cq_compat.signals import task_logged, task_progressed
from tests.conformance.rows.messages import claimed, record, row
from tests.extent import extent

TIMEOUT = 10.0
LINES = extent(20_000, 100_000)


@pytest.fixture
def journal(connection: OwnConnection) -> JournalMirror:
    return JournalMirror(connection)


def lines(task_id: str, numbers: range, limit: int = 100) -> list[Line]:
    return [Line(task_id, n, logging.INFO, "tests", f"line {n}", limit, 0.0) for n in numbers]


def said(task_id: str) -> list[str]:
    assert journal_writer.flush(TIMEOUT)
    return [str(line) for line in TaskLog.objects.filter(task_id=task_id)]


def test_lines_are_kept_as_they_were_said(publishing: PublishingMirror) -> None:
    made = record()
    publishing.record(made)
    task = handle(made.id, name="tests.add")

    task.log("first")
    # Not by `log`: a report could not tell of what cannot be encoded.
    made_elsewhere = logging.LogRecord("tests.add", logging.WARNING, __file__, 1, "", (), None)
    task.keep(made_elsewhere, "a\0b \ud800 🐘")

    assert said(made.id) == ["first", "a\\0b \\ud800 🐘"]
    first, second = task.logs
    assert (first.level_name, second.level_name) == ("INFO", "WARNING")
    assert (first.number, second.number) == (1, 2)
    assert first.logger == "tests.add"
    assert abs((first.created_at - row(made.id).created_at).total_seconds()) < 60


def test_a_top_task_shows_the_lines_of_all_below(publishing: PublishingMirror) -> None:
    top, below = record(root_id="top", task_id="top"), record(root_id="top", parent_id="top")
    publishing.record(top)
    publishing.record(below)

    handle("top", name="tests.add").log("above")
    said("top")
    handle(below.id, name="tests.add").log("below")
    said(below.id)

    assert [str(line) for line in row("top").logs] == ["above", "below"]
    assert [str(line) for line in row(below.id).logs] == ["below"]


def test_the_last_lines_are_kept(journal: JournalMirror) -> None:
    journal.tell(lines("a", range(1, 51), limit=10), [])
    journal.tell(lines("b", range(1, 4)), [])
    assert said("a") == [f"line {n}" for n in range(41, 51)]

    journal.tell([*lines("a", range(51, 56), limit=10), *lines("a", range(56, 57))], [])
    assert said("a") == [f"line {n}" for n in range(46, 57)]
    assert len(said("b")) == 3


def test_a_body_that_does_not_stop_logging_is_bounded(publishing: PublishingMirror) -> None:
    made = record()
    publishing.record(made)
    task = handle(made.id, name="tests.add")
    logging.getLogger("tests.add").setLevel(logging.CRITICAL)

    for number in range(LINES):
        task.log(number)
        assert number % 1_000 or len(journal_writer._backlog) <= 1000

    assert said(made.id) == [str(number) for number in range(LINES - 1_000, LINES)]


def test_progress_needs_the_fence(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease, journal: JournalMirror
) -> None:
    claim = claimed(publishing, working, lease)
    mine, stale = Journal(claim.task_id, claim.fence), Journal(claim.task_id, claim.fence - 1)

    journal.tell([], [mine.progress(1, 4, "reading")])
    journal.tell([], [stale.progress(3, 4, "stale")])

    found = Task.objects.get(pk=claim.task_id).progress
    assert (found.done, found.total, found.message, found.percent) == (1, 4, "reading", 25)
    assert str(found) == "1 of 4: reading"


def test_the_last_step_may_come_after_the_end(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease, journal: JournalMirror
) -> None:
    claim = claimed(publishing, working, lease)
    assert working.finish(claim, Outcome(states.SUCCESS))

    journal.tell([], [Journal(claim.task_id, claim.fence).progress(4, 4, "")])

    assert row(claim.task_id).progress.percent == 100


def test_a_body_begins_without_progress(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease, journal: JournalMirror
) -> None:
    claim = claimed(publishing, working, lease)
    journal.tell([], [Journal(claim.task_id, claim.fence).progress(4, 4, "of the run before")])

    assert working.start(claim, acks_late=False)

    assert not row(claim.task_id).progress
    assert row(claim.task_id).progress.percent is None


def test_logs_go_with_their_task(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease, journal: JournalMirror
) -> None:
    claim, other = claimed(publishing, working, lease), record()
    publishing.record(other)
    journal.tell([*lines(claim.task_id, range(1, 4)), *lines(other.id, range(1, 3))], [])
    assert working.finish(claim, Outcome(states.SUCCESS))

    assert prune([Rule(-60.0)]) == 1

    assert set(TaskLog.objects.values_list("task_id", flat=True)) == {other.id}
    Task.objects.filter(pk=other.id).delete()
    assert not TaskLog.objects.exists()


def test_lines_of_tasks_that_never_were_are_pruned(
    publishing: PublishingMirror, journal: JournalMirror
) -> None:
    made = record()
    publishing.record(made)
    journal.tell([*lines("rolled-back", range(1, 4)), *lines(made.id, range(1, 2))], [])

    prune_remains(1.0)

    assert set(TaskLog.objects.values_list("task_id", flat=True)) == {made.id}


def test_what_is_said_is_told_by_signals(publishing: PublishingMirror) -> None:
    heard: list[dict[str, Any]] = []

    def hear(signal: Any, sender: Any, **facts: Any) -> None:
        heard.append(facts)

    made = record()
    publishing.record(made)
    task = handle(made.id, name="tests.add")
    for signal in (task_logged, task_progressed):
        signal.connect(hear)
    try:
        task.log("first", publish=False)
        task.log("second")
        task.progress(1, 2, "adding")
        assert said(made.id) == ["first", "second"]
    finally:
        for signal in (task_logged, task_progressed):
            signal.disconnect(hear)

    told = [line.message for facts in heard for line in facts.get("lines", ())]
    steps = [facts for facts in heard if "done" in facts]
    assert told == ["first", "second"]
    assert steps == [{"task_id": made.id, "done": 1, "total": 2, "message": "adding"}]


@pytest.fixture
def cq(database: str) -> Iterator[CqBackend]:
    with Celery("journal", set_as_current=False) as app:
        app.conf.update(broker_url="memory://", result_backend="cq")
        yield app.backend


def test_a_state_of_its_own_is_stored_within_the_transaction_of_a_body(
    cq: CqBackend, database: str, publishing: PublishingMirror
) -> None:
    made = record()
    publishing.record(made)

    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        cursor.execute("UPDATE cq_task SET priority = 1 WHERE id = %s", [record().id])
        cursor.execute("DELETE FROM cq_group")  # which begins to write, where one alone may
        cq.store_result(made.id, {"current": 1, "total": 2}, "PROGRESS")

    assert row(made.id).state == "PROGRESS"
    own_connection().close()
