"""``manage.py cq_upgrade``: take over what django-cq 0.3 has left."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from cq_compat.database import alias
from cq_compat.predecessor import schedules, tables, tasks


class Command(BaseCommand):
    """Takes over the tables of django-cq."""

    help = (
        "Sets the tables of django-cq 0.3 aside, makes this package's with migrate, and takes over "
        "tasks with their results and logs, and repeating tasks. It may be run again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take them over, and say what."""
        name = alias()
        if tables.is_in_the_way(connections[name]):
            tables.set_aside(connections[name])
        if not tables.is_set_aside(connections[name]):
            self.stdout.write("There are no tables of django-cq.")
            return
        call_command("migrate", tables.APP, database=name, verbosity=0)
        kept, published = tasks.take_over(current_app._get_current_object(), name)
        self.stdout.write(f"{kept} tasks are taken over, {published} are published.")
        self.stdout.write(self._schedules(name))

    def _schedules(self, name: str) -> str:
        if schedules.can_schedule() or not schedules.schedules(name):
            return f"{schedules.take_over(name)} repeating tasks are schedules."
        return "Install django_celery_beat for the repeating tasks, and run this again."
