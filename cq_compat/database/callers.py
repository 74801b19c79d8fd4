"""The connection of whoever publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from django.db import connections, transaction

from cq_compat.database.connection import (
    LOST,
    ReadOnly,
    Row,
    alias,
    read_only_is_lost,
    rowcount_of,
    rows_of,
)


class CallersConnection:
    """Django's own connection of the calling thread, with its transaction."""

    def __init__(self) -> None:
        #: Django's name of the database.
        self.alias = alias()
        self._connection: Any = connections[self.alias]

    @property
    def vendor(self) -> str:
        """The kind of database."""
        return str(self._connection.vendor)

    def execute(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> int:
        """Run a statement and return how many rows it changed."""
        changed: int = self._run(statement, params, rowcount_of, once)
        return changed

    def fetch(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> list[Row]:
        """Run a statement and return its rows."""
        rows: list[Row] = self._run(statement, params, rows_of, once)
        return rows

    def _run(
        self, statement: str, params: Sequence[Any], answer: Callable[[Any], Any], once: bool
    ) -> Any:
        try:
            return self._run_once(statement, params, answer)
        except LOST as exc:
            # Outside requests nobody else gives up a connection that was cut, or that leads to a
            # server which only reads: beat would never publish again.
            own = self._connection
            if own.in_atomic_block or own.connection is None:
                raise
            if not isinstance(exc, ReadOnly) and own.is_usable():
                raise
            own.close()
            if once:
                raise
            return self._run_once(statement, params, answer)

    def _run_once(self, statement: str, params: Sequence[Any], answer: Callable[[Any], Any]) -> Any:
        with self._connection.cursor() as cursor, read_only_is_lost():
            cursor.execute(statement, params)
            return answer(cursor)

    def adapt_time(self, value: datetime | None) -> Any:
        """Return a time as the database stores it."""
        return self._connection.ops.adapt_datetimefield_value(value)

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block whose statements are run as one, a savepoint in the caller's own."""
        block: AbstractContextManager[None] = transaction.atomic(using=self.alias)
        return block

    def on_commit(self, function: Callable[[], None]) -> None:
        """Call ``function`` when the caller's transaction commits; at once where there is none."""
        transaction.on_commit(function, using=self.alias)
