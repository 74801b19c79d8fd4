"""The tables of django-cq, which are kept under other names."""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.db import models, transaction
from django.db.migrations.recorder import MigrationRecorder

APP = "cq"
TASKS, SCHEDULES = "django_cq_task", "django_cq_repeatingtask"
#: What they were called.
_NAMES = {TASKS: "cq_task", SCHEDULES: "cq_repeatingtask"}
#: A column of its tasks that those of this package do not have.
_MARK = "signature"


class OldTask(models.Model):
    """A task of django-cq."""

    id = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=1)
    signature = models.JSONField()
    details = models.JSONField()
    parent_id = models.UUIDField(null=True)
    previous_id = models.UUIDField(null=True)
    submitted = models.DateTimeField()
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    retries = models.PositiveIntegerField()

    class Meta:
        apps = Apps()
        app_label = "django_cq"
        db_table = TASKS
        managed = False

    def __str__(self) -> str:
        return str(self.id)


class OldSchedule(models.Model):
    """A repeating task of django-cq."""

    id = models.AutoField(primary_key=True)
    crontab = models.CharField(max_length=100)
    func_name = models.CharField(max_length=256)
    args = models.JSONField()
    kwargs = models.JSONField()
    coalesce = models.BooleanField()

    class Meta:
        apps = Apps()
        app_label = "django_cq"
        db_table = SCHEDULES
        managed = False

    def __str__(self) -> str:
        return str(self.func_name)


def is_in_the_way(connection: Any) -> bool:
    """Tell whether the table of tasks is that of django-cq."""
    name = _NAMES[TASKS]
    with connection.cursor() as cursor:
        if name not in connection.introspection.table_names(cursor):
            return False
        columns = connection.introspection.get_table_description(cursor, name)
    return _MARK in {column.name for column in columns}


def is_set_aside(connection: Any) -> bool:
    """Tell whether the tables of django-cq are kept under other names."""
    with connection.cursor() as cursor:
        return TASKS in connection.introspection.table_names(cursor)


def set_aside(connection: Any) -> None:
    """Give the tables other names, and forget that migrations have made them."""
    with transaction.atomic(using=connection.alias), connection.schema_editor() as editor:
        for new, old in _NAMES.items():
            editor.alter_db_table(OldTask, old, new)
        MigrationRecorder(connection).migration_qs.filter(app=APP).delete()
