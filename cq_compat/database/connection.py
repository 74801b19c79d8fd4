"""What is asked of a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Protocol

from django.db import InterfaceError, InternalError, OperationalError, router

from cq_compat.conf import conf

#: What a database raises that is not there, or has gone.
LOST = (OperationalError, InterfaceError)
Row = tuple[Any, ...]
#: What PostgreSQL says of a write when its server has become a standby.
_READ_ONLY = "25006"


class Connection(Protocol):
    """Where statements are run, and what is to follow their commit."""

    @property
    def vendor(self) -> str:
        """The kind of database, as Django names it."""

    def execute(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> int:
        """Run a statement and return how many rows it changed.

        Args:
            once: raise if the connection was cut, where the statement may have been run unheard.
            row: the one row that it changes, if that is so: it may share a transaction with those
                of other threads, where the connection is shared.
        """

    def fetch(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> list[Row]:
        """Run a statement and return its rows; the arguments are those of ``execute``."""

    def adapt_time(self, value: datetime | None) -> Any:
        """Return a time as the database stores it."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block whose statements are run as one."""

    def on_commit(self, function: Callable[[], None]) -> None:
        """Call ``function`` when what was written is committed."""


class ReadOnly(OperationalError):
    """The server only reads: after a failover, a connection that is kept leads to a standby."""


@contextmanager
def read_only_is_lost() -> Iterator[None]:
    """Let PostgreSQL say as other databases do, by one of ``LOST``, that it refuses to write at
    all.

    Raises:
        ReadOnly: it has.
    """
    try:
        yield
    except InternalError as exc:
        cause = exc.__cause__
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if state != _READ_ONLY:
            raise
        raise ReadOnly(*exc.args) from exc


def rowcount_of(cursor: Any) -> int:
    """Return how many rows the statement has changed that a cursor ran last."""
    return int(cursor.rowcount)


def rows_of(cursor: Any) -> list[Row]:
    """Return the rows that it has returned."""
    return list(cursor.fetchall())


def alias() -> str:
    """Return the alias of the database that has the tasks."""
    from cq_compat.models import Task

    return conf().DATABASE or router.db_for_write(Task)
