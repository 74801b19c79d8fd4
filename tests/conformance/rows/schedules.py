"""A project with the schedules of django-celery-beat in the database of the rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.test import override_settings


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
    apps = ["cq_compat", "django_celery_beat"]
    with override_settings(INSTALLED_APPS=apps, DATABASE_ROUTERS=[OneDatabase(alias)]):
        call_command("migrate", "django_celery_beat", database=alias, verbosity=0)
        yield


def forget_schedules() -> None:
    """Delete them all."""
    from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

    for model in (PeriodicTask, CrontabSchedule, IntervalSchedule):
        model.objects.all().delete()
