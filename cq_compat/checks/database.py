"""Checks of the database that has the tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import django
from celery import current_app
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections

from cq_compat.conf import Settings
from cq_compat.database import alias
from cq_compat.dialects import dialect_of
from cq_compat.predecessor.tables import is_in_the_way


@register("cq")
def check_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check, without asking it, that the database can have the tasks."""
    connection = _connection()
    return [] if connection is None else list(_check_kind(connection))


@register(Tags.database)
def check_tables(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Ask the database; for ``check --database`` and ``migrate``."""
    connection = _connection()
    if connection is None or connection.alias not in (databases or ()):
        return []
    try:
        return list(_check_rows(connection))
    except DatabaseError:
        return []  # that it does not answer is another's to say


def _connection() -> Any:
    try:
        Settings.read()
        return connections[alias()]
    except Exception:
        return None  # another check says so


def _check_kind(connection: Any) -> Iterator[CheckMessage]:
    try:
        dialect_of(connection.vendor)
    except NotImplementedError as exc:
        yield Error(
            str(exc),
            hint="Set CQ['DATABASE'] to the alias of such a database, or CQ['DURABLE'] to False.",
            id="cq.E006",
        )
    # A test database has another name.
    in_memory = connection.vendor == "sqlite" and connection.settings_dict["NAME"] == ":memory:"
    if in_memory and not current_app.conf.task_always_eager:
        yield Warning(
            f"The database {connection.alias!r} lives in the memory of one process: no worker sees "
            "its tasks.",
            hint="Give it a file as NAME, or set CELERY_TASK_ALWAYS_EAGER in tests.",
            id="cq.W006",
        )
    if connection.vendor == "sqlite" and not in_memory and _may_fail_to_write(connection):
        yield Warning(
            f"A transaction of the database {connection.alias!r}, such as a body of @task, that "
            'reads before it writes fails with "database is locked" if another process has written '
            "in between.",
            hint='Add "transaction_mode": "IMMEDIATE" and "timeout": 20 to its OPTIONS: then it '
            "waits for the other.",
            id="cq.W012",
        )
    if connection.vendor == "mysql" and _charset(connection.settings_dict["OPTIONS"]) != "utf8mb4":
        yield Warning(
            f"The connections to the database {connection.alias!r} have not all of Unicode: a task "
            "with an emoji in its arguments cannot be published.",
            hint='Add "charset": "utf8mb4" to its OPTIONS.',
            id="cq.W011",
        )


def _may_fail_to_write(connection: Any) -> bool:
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    return django.VERSION >= (5, 1) and mode.upper() == "DEFERRED"  # none can be chosen before


def _charset(options: dict[str, Any]) -> Any:
    if "read_default_file" in options:  # which may name it
        return "utf8mb4"
    return options.get("charset", "utf8mb4" if django.VERSION >= (5, 2) else "utf8mb3")


def _check_rows(connection: Any) -> Iterator[CheckMessage]:
    from cq_compat.models import Task, Worker

    with connection.cursor() as cursor:
        present = connection.introspection.table_names(cursor)
    if not {Task._meta.db_table, Worker._meta.db_table} <= set(present):
        is_old = is_in_the_way(connection)
        run = "cq_upgrade" if is_old else f"migrate --database {connection.alias}"
        yield Warning(
            f"The database {connection.alias!r} has no table for tasks"
            f"{', but one of django-cq' if is_old else ''}, so none can be published.",
            hint=f"Run manage.py {run}.",
            id="cq.W007",
        )
        return
    alive = Worker.objects.alive().count() if connection.vendor == "sqlite" else 0
    if alive > 1:
        yield Warning(
            f"{alive} workers share the SQLite database {connection.alias!r}, which lets one "
            "process write at a time: all others wait, or fail when that takes too long.",
            hint="Use PostgreSQL, MySQL or MariaDB for more than one worker.",
            id="cq.W008",
        )
