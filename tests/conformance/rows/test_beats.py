"""Beats beside each other, and the rows that decide between them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.db import connections, transaction

from cq_compat.clock import Now
from cq_compat.database import OwnConnection
from cq_compat.ledger import ledger
from cq_compat.models import Beat, Task
from cq_transport import use_ledger
from tests.servers.databases import read_only
from tests.servers.schedules import LONG_AGO, due, forget_schedules, scheduled

NAME = "yearly"


@pytest.fixture(scope="module", autouse=True)
def tables(database: str) -> Iterator[None]:
    with scheduled(database):
        yield


@pytest.fixture(autouse=True)
def no_schedules(tables: None) -> Iterator[None]:
    yield
    forget_schedules()


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app without the schedules that Celery has by itself, and with known queues alone."""
    use_ledger(ledger)  # the folder's cases have none
    changes = {"result_expires": None, "task_create_missing_queues": False}
    with Celery("beats", broker="channels://memory", set_as_current=False, changes=changes) as app:
        yield app


@pytest.fixture
def make_beat(app: Celery) -> Callable[[], Any]:
    """Make the scheduler of a beat that has started."""
    from cq_compat.beat import Scheduler

    return lambda: Scheduler(app=app)


def run(beat: Any) -> None:
    """Let a beat do what it has to do now."""
    while beat.tick() == 0:
        pass


def ticks(name: str = NAME) -> int:
    """Return how many tasks a schedule has."""
    return Task.objects.filter(periodic_task_name=name).count()


def entry(row: Any, app: Celery) -> Any:
    """Return what a beat has read."""
    from cq_compat.beat.entry import BeatEntry

    return BeatEntry(type(row).objects.get(pk=row.pk), app=app)


def claims(entry: Any) -> bool:
    """Let a beat claim the tick that it has read."""
    next(entry)
    with transaction.atomic(using=entry.database):
        return bool(entry.claim())


def test_one_beat_leads() -> None:
    from cq_compat.beat.lead import Lead

    first, second = Lead(), Lead()
    assert [first.keep(), second.keep(), first.keep()] == [True, False, True]
    first.resign()
    assert second.keep()
    first.resign()
    assert Beat.objects.get().leads_until is not None


def test_a_lead_that_is_not_renewed_ends() -> None:
    from cq_compat.beat.lead import Lead

    first, second = Lead(), Lead()
    assert first.keep() and not second.keep()
    Beat.objects.update(leads_until=Now() - timedelta(seconds=1))
    assert second.keep()


def test_a_tick_is_noted_with_its_task(make_beat: Callable[[], Any]) -> None:
    (row,), beat = due(NAME), make_beat()
    run(beat)
    row.refresh_from_db()
    task = Task.objects.get()
    assert (task.name, task.periodic_task_name) == ("tests.project.tasks.note", NAME)
    assert row.total_run_count == 1
    assert row.last_run_at > LONG_AGO
    run(beat)
    assert ticks() == 1


def test_a_beat_leaves_a_server_that_only_reads(
    database: str, make_beat: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    due(NAME)
    beat = make_beat()
    read_only(connections[database])
    connections[database].close_at = None  # CONN_MAX_AGE = None keeps it
    assert beat.tick() > 0
    assert "ticks will be late" in caplog.text
    run(beat)
    assert ticks() == 1


def test_the_first_schedule_of_all_is_noticed(make_beat: Callable[[], Any]) -> None:
    from django_celery_beat.models import PeriodicTasks

    PeriodicTasks.objects.all().delete()
    run(beat := make_beat())
    due(NAME)
    run(beat)
    assert ticks() == 1


def test_who_does_not_lead_does_nothing(make_beat: Callable[[], Any]) -> None:
    first, second = make_beat(), make_beat()
    run(first)
    due(NAME)
    run(second)
    assert ticks() == 0
    first.close()
    run(second)
    assert ticks() == 1


def test_of_two_that_have_read_a_tick_one_runs_it(app: Celery) -> None:
    (row,) = due(NAME)
    first, second = entry(row, app), entry(row, app)
    assert [claims(first), claims(second)] == [True, False]
    assert second.refresh()
    assert not second.is_due().is_due
    row.refresh_from_db()
    assert row.total_run_count == 1


def test_the_first_tick_of_a_schedule_too(app: Celery) -> None:
    (row,) = due(NAME, last_run_at=None)
    first, second = entry(row, app), entry(row, app)
    assert [claims(first), claims(second)] == [True, False]


def test_a_row_that_is_locked_is_passed_over(
    app: Celery, database: str, connection: OwnConnection
) -> None:
    if not connections[database].features.has_select_for_update_skip_locked:
        return  # SQLite locks no rows
    (row,) = due(NAME)
    with connection.transaction():
        connection.fetch(
            "SELECT id FROM django_celery_beat_periodictask WHERE id = %s FOR UPDATE", [row.pk]
        )
        assert not claims(entry(row, app))
    assert claims(entry(row, app))


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_what_has_been_switched_off(make_beat: Callable[[], Any], change: str) -> None:
    (row,), beat = due(NAME), make_beat()
    assert NAME in beat.schedule
    if change == "disable":
        type(row).objects.update(enabled=False)
    else:
        type(row).objects.all()._raw_delete(row._state.db)  # by no signal that beat is told of
    run(beat)
    assert ticks() == 0


def test_a_tick_that_cannot_be_published(make_beat: Callable[[], Any]) -> None:
    (broken,), (whole,) = due("broken", queue="nowhere"), due("whole")
    beat = make_beat()
    run(beat)
    assert [ticks("broken"), ticks("whole")] == [0, 1]
    broken.refresh_from_db()
    assert (broken.last_run_at, broken.total_run_count) == (LONG_AGO, 0)
    beat.close()
    broken.queue = None
    broken.save()
    run(make_beat())
    assert [ticks("broken"), ticks("whole")] == [1, 1]
    whole.refresh_from_db()
    assert whole.total_run_count == 1


def test_a_note_that_is_undone_makes_no_second_task(make_beat: Callable[[], Any]) -> None:
    (row,) = due(NAME)
    run(beat := make_beat())
    row.save()  # as somebody's form does that was opened before
    run(beat)
    row.refresh_from_db()
    assert (ticks(), row.total_run_count) == (1, 1)


def test_ticks_are_a_part_of_what_is_not_finished(make_beat: Callable[[], Any]) -> None:
    (row,) = due(NAME, headers='{"coalesce": true}')
    due("other")
    run(beat := make_beat())
    for finished_at, expected in ((None, 1), (Now(), 2)):
        Task.objects.filter(periodic_task_name=NAME).update(finished_at=finished_at)
        type(row).objects.filter(name=NAME).update(last_run_at=LONG_AGO)
        beat.close()
        run(beat := make_beat())
        assert ticks() == expected
    row.refresh_from_db()
    assert row.total_run_count == 3
    assert '"coalesce"' not in Task.objects.filter(periodic_task_name=NAME)[0].message
