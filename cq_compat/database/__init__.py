"""Connections to the database that has the tasks.

Publishers write on the connection of their own transaction. Workers have one of their own for each
process: Celery closes Django's connections before and after every task, and what a worker writes
about a task must not depend on the task's transaction.
"""

from django.db import connections

from cq_compat.database.callers import CallersConnection
from cq_compat.database.connection import LOST, Connection, Row, alias, read_only_is_lost
from cq_compat.database.own import OwnConnection, close_all

__all__ = [
    "LOST",
    "CallersConnection",
    "Connection",
    "OwnConnection",
    "Row",
    "alias",
    "close_all",
    "may_write_beside",
    "own_connection",
    "publishing_connection",
    "read_only_is_lost",
]

_own = OwnConnection()


def own_connection() -> OwnConnection:
    """Return this process's connection for what workers and keepers write."""
    return _own


def publishing_connection() -> Connection:
    """Return the connection on which a publisher records: that of its own transaction."""
    return _own if _own.is_mine else CallersConnection()


def may_write_beside() -> bool:
    """Tell whether something can be written beside the caller's transaction; SQLite lets one alone
    write, so that to wait for it here were to wait for ever.
    """
    connection = connections[alias()]
    return not (connection.vendor == "sqlite" and connection.in_atomic_block)
