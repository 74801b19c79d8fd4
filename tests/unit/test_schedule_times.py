"""When a schedule's ticks are due, over the changes of the clocks: as Celery's own are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import VERSION, Celery
from celery.beat import ScheduleEntry
from celery.schedules import crontab
from django.test import override_settings

pytestmark = pytest.mark.unit

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
#: In spring the hour from 2:00 is left out, in autumn that from 2:00, or 1:00, comes twice.
NIGHTS = [
    (BERLIN, datetime(2026, 3, 29)),
    (BERLIN, datetime(2026, 10, 25)),
    (NEW_YORK, datetime(2026, 3, 8)),
    (NEW_YORK, datetime(2026, 11, 1)),
]
STEP = timedelta(minutes=10)
#: When what was to run at 2:30 runs where there is no such time.
SHIFTED = "03:30" if VERSION[:3] >= (5, 5, 2) else "03:00"


@pytest.fixture(autouse=True)
def beat_app() -> Iterator[None]:
    """Let the models of django-celery-beat be had; nothing is saved."""
    with override_settings(INSTALLED_APPS=["cq_compat", "django_celery_beat"]):
        yield


class Clock:
    """A clock that is turned by hand."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time


def row_entry(clock: Clock, columns: dict[str, str], zone: ZoneInfo) -> Any:
    """Return the entry of a periodic task whose crontab is a row."""
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    from cq_compat.beat.entry import BeatEntry

    class Unsaved(BeatEntry):
        def refresh(self) -> bool:
            return True

    row = PeriodicTask(name="nightly", task="nightly", last_run_at=clock.time)
    row.crontab = CrontabSchedule(**columns, timezone=zone)
    entry = Unsaved(row, app=Celery("rows", set_as_current=False))
    entry.schedule.nowfun = lambda: clock.time.astimezone(zone)
    return entry


def own_entry(clock: Clock, columns: dict[str, str], zone: ZoneInfo) -> ScheduleEntry:
    """Return the entry of ``beat_schedule`` in an app of that time zone."""
    app = Celery("own", set_as_current=False)
    app.conf.timezone = zone.key
    schedule = crontab(**columns, nowfun=lambda: clock.time.astimezone(zone), app=app)
    return ScheduleEntry("nightly", "nightly", schedule.now(), 0, schedule, app=app)


def ticks(make: Callable[..., Any], zone: str, night: datetime, line: str) -> list[str]:
    """Return the times of the ticks from the noon before until the one after the next."""
    columns = dict(zip(("minute", "hour"), line.split(), strict=True))
    start = night.replace(tzinfo=ZoneInfo(zone)) - timedelta(hours=12)
    clock, found = Clock(start.astimezone(timezone.utc)), []
    entry, end = make(clock, columns, ZoneInfo(zone)), clock.time + timedelta(days=2)
    while clock.time < end:
        clock.time += STEP
        if entry.is_due().is_due:
            entry.last_run_at = clock.time.astimezone(entry.last_run_at.tzinfo)
            found.append(f"{clock.time.astimezone(ZoneInfo(zone)):%d. %H:%M %Z}")
    return found


@pytest.mark.parametrize("line", ["30 1", "30 2", "0 3", "0 */2", "*/30 *"])
@pytest.mark.parametrize(("zone", "night"), NIGHTS)
def test_ticks_are_those_of_celery(zone: str, night: datetime, line: str) -> None:
    found = ticks(row_entry, zone, night, line)
    assert found == ticks(own_entry, zone, night, line)
    assert found


@pytest.mark.parametrize(
    ("zone", "night", "line", "expected"),
    [
        (BERLIN, NIGHTS[0][1], "30 2", [f"29. {SHIFTED} CEST", "30. 02:30 CEST"]),
        (BERLIN, NIGHTS[1][1], "30 2", ["25. 02:30 CEST", "26. 02:30 CET"]),
        (NEW_YORK, NIGHTS[3][1], "30 1", ["01. 01:30 EDT", "02. 01:30 EST"]),
    ],
)
def test_nightly_is_once_a_night(zone: str, night: datetime, line: str, expected: Any) -> None:
    assert ticks(row_entry, zone, night, line) == expected
