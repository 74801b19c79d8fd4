"""Schedules as data migrations make them, with the models of a migration."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from cq_compat.native.schedules import schedule_task, unschedule_task
from tests.project.tasks import add
from tests.servers.schedules import forget_schedules, scheduled

LAST = ("django_celery_beat", "0018_improve_crontab_helptext")
TASK = "shop.tasks.nightly"


@pytest.fixture(scope="module")
def apps(database: str) -> Iterator[Any]:
    """The models as a migration has them that depends on one of django-celery-beat's."""
    with scheduled(database):
        yield MigrationLoader(connections[database]).project_state(LAST).apps


@pytest.fixture(autouse=True)
def no_schedules(apps: Any) -> Iterator[None]:
    yield
    forget_schedules()


def row(name: str = TASK) -> Any:
    """Return a schedule as beat reads it."""
    from django_celery_beat.models import PeriodicTask

    return PeriodicTask.objects.get(name=name)


def last_change() -> Any:
    """Return when beat was told of a change last."""
    from django_celery_beat.models import PeriodicTasks

    return PeriodicTasks.last_change()


def test_a_line_of_cron(apps: Any) -> None:
    schedule_task(
        apps,
        "0 3 * * mon-fri",
        TASK,
        args=(1, "two"),
        kwargs={"three": [3]},
        name="nightly",
        timezone="Europe/Berlin",
        queue="reports",
        description="For the morning",
    )
    found = row("nightly")
    assert str(found.crontab) == "0 3 * * mon-fri (m/h/dM/MY/d) Europe/Berlin"
    assert (found.task, found.args, found.kwargs) == (TASK, '[1, "two"]', '{"three": [3]}')
    assert (found.queue, found.description, found.enabled) == ("reports", "For the morning", True)
    found.full_clean()


def test_a_second_time_changes_nothing(apps: Any) -> None:
    first = [schedule_task(apps, "0 3 * * *", TASK).pk, row().crontab_id]
    assert first == [schedule_task(apps, "0 3 * * *", TASK).pk, row().crontab_id]


def test_another_time_takes_the_place_of_the_first(apps: Any) -> None:
    from django_celery_beat.models import PeriodicTask

    schedule_task(apps, "0 3 * * *", TASK)
    PeriodicTask.objects.filter(name=TASK).update(enabled=False)
    schedule_task(apps, timedelta(minutes=90), TASK)
    found = row()
    assert (found.crontab, str(found.interval)) == (None, "every 5400 seconds")
    assert not found.enabled, "what an operator has switched off stays off"


def test_a_task_in_place_of_its_name(apps: Any) -> None:
    schedule_task(apps, timedelta(hours=1), add)
    assert row("tests.project.tasks.add").task == "tests.project.tasks.add"
    assert unschedule_task(apps, add)


def test_intervals_below_a_second(apps: Any) -> None:
    schedule_task(apps, timedelta(seconds=1.5), TASK)
    assert row().schedule.run_every == timedelta(seconds=1.5)


def test_the_zone_is_that_of_celery(apps: Any) -> None:
    from celery import Celery, current_app

    before = current_app._get_current_object()
    with Celery("zoned", changes={"timezone": "Asia/Tokyo"}) as app:
        app.set_current()
        schedule_task(apps, "0 3 * * *", TASK)
    before.set_current()
    assert str(row().crontab.timezone) == "Asia/Tokyo"


def test_coalescing_is_a_header(apps: Any) -> None:
    schedule_task(apps, "0 3 * * *", TASK, coalesce=True, headers={"tenant": 1})
    assert row().headers == '{"tenant": 1, "coalesce": true}'
    schedule_task(apps, "0 3 * * *", TASK)
    assert row().headers == "{}"


def test_the_reverse(apps: Any) -> None:
    schedule_task(apps, "0 3 * * *", TASK)
    schedule_task(apps, "0 4 * * *", TASK, name="later")
    assert unschedule_task(apps, TASK)
    assert not unschedule_task(apps, TASK)
    assert row("later").task == TASK


def test_beat_is_told(apps: Any) -> None:
    schedule_task(apps, "0 3 * * *", TASK)
    first = last_change()
    schedule_task(apps, "0 4 * * *", TASK)
    second = last_change()
    unschedule_task(apps, TASK)
    assert first < second < last_change()


@pytest.mark.parametrize(
    "when", ["0 3 * *", "0 3 * * * *", "0 25 * * *", "a b c d e", "", timedelta(0)]
)
def test_what_is_no_time(apps: Any, when: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        schedule_task(apps, when, TASK)
