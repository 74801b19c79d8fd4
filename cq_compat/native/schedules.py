"""Schedules of repeating tasks, for data migrations: rows of django-celery-beat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from celery import current_app
from celery.schedules import ParseException, crontab
from django.utils import timezone as clock

APP = "django_celery_beat"
#: The columns of a line of cron.
COLUMNS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
#: The header of a periodic task by which the scheduler knows that its ticks are to be coalesced.
COALESCE = "coalesce"


def schedule_task(
    apps: Any,
    when: str | timedelta,
    task: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    timezone: str | None = None,
    coalesce: bool = False,
    using: str | None = None,
    **options: Any,
) -> Any:
    """Let beat run a task again and again; a schedule of that name is changed in place.

    Args:
        apps: the models, as a migration is given them.
        when: a line of cron, such as ``"0 3 * * *"``, or the time between two runs.
        task: the task, or its name.
        args: its arguments, which JSON can say.
        kwargs: its keyword arguments.
        name: the name of the schedule; that of the task if it is left out.
        timezone: where cron's times are meant, such as ``"Europe/Berlin"``; that of the Celery app
            if it is left out.
        coalesce: whether the task does not start while it is not finished from an earlier time.
        using: the alias of the database; the routers' choice if it is left out.
        options: other columns of ``PeriodicTask``, such as ``queue``, ``expire_seconds`` or
            ``description``.

    Returns:
        The row of ``PeriodicTask``.

    Raises:
        ValueError: ``when`` is no line of cron, or no time.
    """
    headers = {**options.pop("headers", {}), **({COALESCE: True} if coalesce else {})}
    values = {
        **dict.fromkeys(("interval", "crontab", "solar", "clocked")),
        **_timetable(apps, when, timezone, using),
        "task": getattr(task, "name", task),
        "args": json.dumps(list(args)),
        "kwargs": json.dumps(dict(kwargs or {})),
        "headers": json.dumps(headers),
        **options,
    }
    rows = _rows(apps, "PeriodicTask", using)
    found, _created = rows.update_or_create(name=name or values["task"], defaults=values)
    _tell_beat(apps, using)
    return found


def unschedule_task(apps: Any, name: Any, *, using: str | None = None) -> bool:
    """Delete a schedule; tell whether there was one.

    Args:
        apps: the models, as a migration is given them.
        name: the name of the schedule, or the task that it was named after.
        using: the alias of the database; the routers' choice if it is left out.
    """
    found = _rows(apps, "PeriodicTask", using).filter(name=getattr(name, "name", name))
    deleted, _by_model = found.delete()
    _tell_beat(apps, using)
    return bool(deleted)


def _timetable(
    apps: Any, when: str | timedelta, timezone: str | None, using: str | None
) -> dict[str, Any]:
    if isinstance(when, timedelta):
        every = _every(when)
        return {"interval": _first_or_new(_rows(apps, "IntervalSchedule", using), **every)}
    rows = _rows(apps, "CrontabSchedule", using)
    zone = timezone or getattr(current_app.timezone, "key", "UTC")
    return {"crontab": _first_or_new(rows, **_columns(when), timezone=zone)}


def _columns(line: str) -> dict[str, str]:
    parts = line.split()
    if len(parts) != len(COLUMNS):
        raise ValueError(f"{line!r} is no line of cron: it has {len(parts)} columns, not 5.")
    columns = dict(zip(COLUMNS, parts, strict=True))
    try:
        crontab(**columns)
    except (ParseException, ValueError) as exc:
        raise ValueError(f"{line!r} is no line of cron: {exc}") from exc
    return columns


def _every(interval: timedelta) -> dict[str, Any]:
    if interval <= timedelta():
        raise ValueError(f"{interval!r} is no time between two runs.")
    microseconds = interval // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    if rest:
        return {"every": microseconds, "period": "microseconds"}
    return {"every": seconds, "period": "seconds"}


def _first_or_new(rows: Any, **values: Any) -> Any:
    # Nothing keeps these rows unique.
    return rows.filter(**values).first() or rows.create(**values)


def _rows(apps: Any, model: str, using: str | None) -> Any:
    return apps.get_model(APP, model).objects.using(using)


def _tell_beat(apps: Any, using: str | None) -> None:
    # The models of a migration send none of the signals by which beat is told of changes.
    _rows(apps, "PeriodicTasks", using).update_or_create(
        ident=1, defaults={"last_update": clock.now()}
    )
