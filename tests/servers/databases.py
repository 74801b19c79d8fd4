"""The databases that may keep tasks, each as an alias of Django's."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import django
import pymysql
import pytest
from django.db import connections
from django.test import override_settings

from cq_compat.database import close_all
from tests.servers.publishing import kept_in_rows
from tests.servers.waiting import wait_until

pymysql.install_as_MySQLdb()  # by which Django's backend knows its driver

#: SQLite as a parameter of tests whose bodies have transactions. Before Django 5.1 those begin as
#: readers, and fail where another process has written meanwhile.
SQLITE = pytest.param(
    "sqlite",
    marks=pytest.mark.xfail(django.VERSION < (5, 1), reason="database is locked", strict=False),
)


#: What lets a session only read, as after a failover every session of the server that was left.
_READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = on",
}


def read_only(connection: Any) -> None:
    """Let a connection of Django's write nothing any more; the next one may."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_ONLY[connection.vendor])


def cut(connection: Any) -> None:
    """Let a server end a connection of Django's that idles."""
    end, seen, session = {
        "postgresql": (
            "SELECT pg_terminate_backend(%s)",
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s",
            lambda: connection.connection.info.backend_pid,
        ),
        "mysql": (
            "KILL %s",
            "SELECT 1 FROM information_schema.processlist WHERE id = %s",
            lambda: connection.connection.thread_id(),
        ),
    }[connection.vendor]
    found = session()
    with closing(connection.copy()) as other, other.cursor() as cursor:

        def is_gone() -> bool:
            cursor.execute(seen, [found])
            return cursor.fetchone() is None

        cursor.execute(end, [found])
        wait_until(is_gone, what="the end of the session")


def sqlite(folder: Path) -> dict[str, Any]:
    """Return the entry of DATABASES for a file with a write-ahead log, as Django advises."""
    path = folder / "rows.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {"transaction_mode": "IMMEDIATE"} if django.VERSION >= (5, 1) else {},
    }


@contextmanager
def declared(**entries: dict[str, Any]) -> Iterator[None]:
    """Give this process databases by their aliases, and rows of its tasks to the first of them."""
    known = connections.configure_settings({"default": connections.settings["default"], **entries})
    for alias in entries:
        connections.settings[alias] = known[alias]
    try:
        settings = override_settings(
            INSTALLED_APPS=["cq_compat"], CQ={"DATABASE": next(iter(entries))}
        )
        with settings, kept_in_rows():
            close_all()  # they may be to the database of a longer block around this one
            yield
    finally:
        close_all()
        for alias in entries:
            connections[alias].close()
            del connections[alias]
            del connections.settings[alias]
