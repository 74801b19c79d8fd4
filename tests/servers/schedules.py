"""The tables of django-celery-beat in a database of the tests, and schedules in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from django.core.management import call_command
from django.test import override_settings

APPS = ("cq_compat", "django_celery_beat")
LONG_AGO = datetime(2020, 6, 1, tzinfo=timezone.utc)


class OneDatabase:
    """A router that puts everything on the one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@contextmanager
def scheduled(alias: str) -> Iterator[None]:
    """Have the tables of django-celery-beat in a database, without schedules."""
    with override_settings(INSTALLED_APPS=APPS, DATABASE_ROUTERS=[OneDatabase(alias)]):
        call_command("migrate", "django_celery_beat", database=alias, verbosity=0)
        yield


def due(*names: str, task: str = "tests.project.tasks.note", **values: Any) -> list[Any]:
    """Make schedules of which one tick each is due, and no other in the time of a test."""
    from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

    yearly, _ = CrontabSchedule.objects.get_or_create(
        minute="0", hour="0", day_of_month="1", month_of_year="1"
    )
    known = {"task": task, "crontab": yearly, "last_run_at": LONG_AGO, **values}
    PeriodicTask.objects.bulk_create(PeriodicTask(name=name, **known) for name in names)
    PeriodicTasks.update_changed()
    return list(PeriodicTask.objects.filter(name__in=names).order_by("pk"))


def forget_schedules() -> None:
    """Delete them all."""
    from django_celery_beat import models

    kinds = models.CrontabSchedule, models.IntervalSchedule
    for model in (models.PeriodicTask, *kinds, models.SolarSchedule, models.ClockedSchedule):
        model.objects.all().delete()


def form(page: Any, **values: Any) -> dict[str, Any]:
    """Return what a browser would send of an admin page's form, with some fields filled in."""
    form = page.context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**data, **values}.items() if value is not None}
