"""A connection beside Django's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from weakref import WeakSet

from django.db import DatabaseError

from cq_compat.database.connection import (
    LOST,
    ReadOnly,
    Row,
    alias,
    read_only_is_lost,
    rowcount_of,
    rows_of,
)
from cq_compat.database.opening import connection_beside, has_pipeline
from cq_compat.database.turns import Call, Turns
from cq_transport.forks import hold_in_forks, reset_in_children

#: Most seconds that a fork waits for a thread that uses a connection.
FORK_PATIENCE = 5.0


class OwnConnection:
    """A connection that this package alone uses. Threads take turns; what several of them write
    about single rows is one transaction, so that they wait for the disk together.
    """

    def __init__(self) -> None:
        self._begin()
        _all.add(self)
        reset_in_children(self)
        hold_in_forks(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._turns = Turns(self._run_calls, self._lock)
        self._connection: Any = None
        self._cursors: list[Any] = []
        self._depth = 0
        self._thread = 0
        self._after_commit: list[Callable[[], None]] = []

    def reset_after_fork(self) -> None:
        """Leave the parent's connection to the parent."""
        if self._connection is not None:
            # Forgotten, not closed: closing would say good-bye on the parent's socket.
            _inherited.append(self._connection.connection)
            self._connection.connection = None
        self._begin()

    def hold_for_fork(self) -> bool:
        """Keep other threads off until ``release`` if this is SQLite; tell whether that is so.

        A child has a copy of the locks that SQLite's library has noted for its process: what
        another thread writes just now would be locked in the child for ever.
        """
        connection = self._connection
        is_sqlite = connection is not None and connection.vendor == "sqlite"
        return is_sqlite and self._lock.acquire(timeout=FORK_PATIENCE)

    def release(self) -> None:
        """Let other threads go on."""
        self._lock.release()

    @property
    def vendor(self) -> str:
        """The kind of database."""
        return str(self._ready().vendor)

    def execute(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> int:
        """Run a statement and return how many rows it changed."""
        changed: int = self._run(statement, params, rowcount_of, once, row)
        return changed

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement with each of the rows, as one; return how many rows it changed."""
        if not rows:
            return 0
        with self.transaction(), self._ready().cursor() as cursor, read_only_is_lost():
            cursor.executemany(statement, rows)
            return int(cursor.rowcount)

    def fetch(
        self, statement: str, params: Sequence[Any], *, once: bool = False, row: str | None = None
    ) -> list[Row]:
        """Run a statement and return its rows."""
        rows: list[Row] = self._run(statement, params, rows_of, once, row)
        return rows

    def adapt_time(self, value: datetime | None) -> Any:
        """Return a time as the database stores it."""
        return self._ready().ops.adapt_datetimefield_value(value)

    def on_commit(self, function: Callable[[], None]) -> None:
        """Call ``function`` at the end of the transaction; at once where there is none."""
        if self.is_mine:
            self._after_commit.append(function)
        else:
            function()

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is inside ``transaction``."""
        return bool(self._depth) and self._thread == threading.get_ident()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the statements of the block as one; nested blocks are part of the outermost."""
        with self._lock:
            if self._depth:
                yield
                return
            connection = self._begun()
            self._depth, self._thread = 1, threading.get_ident()
            try:
                yield
            except BaseException:
                self._end(connection.rollback)
                self._after_commit.clear()
                raise
            else:
                self._end(connection.commit)
                callbacks, self._after_commit = self._after_commit, []
        for function in callbacks:
            function()

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        with self._lock:
            connection, self._connection, self._cursors = self._connection, None, []
            if connection is not None:
                try:
                    connection.close()
                except DatabaseError:
                    pass

    def _run(
        self,
        statement: str,
        params: Sequence[Any],
        answer: Callable[[Any], Any],
        once: bool,
        row: str | None,
    ) -> Any:
        # Celery raises a soft time limit in the main thread, at any place: others must not depend
        # on that thread.
        if row is None or self.is_mine or threading.current_thread() is threading.main_thread():
            return self._run_alone(statement, params, answer, once)
        return self._turns.take(Call(row, statement, params, answer, once))

    def _run_alone(
        self, statement: str, params: Sequence[Any], answer: Callable[[Any], Any], once: bool
    ) -> Any:
        with self._lock:
            try:
                return self._run_once(statement, params, answer)
            except ReadOnly:
                if not self._depth:
                    self.close()  # the next one leads to the server that has taken this one's place
                raise
            except LOST:
                # A connection that has idled may have been cut; a transaction cannot be resumed.
                if once or self._depth or not self._was_cut():
                    raise
                self.close()
                return self._run_once(statement, params, answer)

    def _run_once(self, statement: str, params: Sequence[Any], answer: Callable[[Any], Any]) -> Any:
        cursor = self._first_cursors(1)[0]
        with read_only_is_lost():
            cursor.execute(statement, params)
        return answer(cursor)

    def _first_cursors(self, count: int) -> list[Any]:
        while len(self._cursors) < count:  # to make one takes as long as to run a statement
            self._cursors.append(self._ready().cursor())
        return self._cursors[:count]

    def _run_calls(self, calls: Sequence[Call]) -> None:
        lost: Exception | None = None
        if len(calls) > 1:
            try:
                self._run_together(calls)
                return
            except BaseException as exc:  # one of them spoils it for all, or it is the connection
                self.close()
                if not isinstance(exc, Exception):
                    raise
                lost = exc if isinstance(exc, LOST) else None
        for call in calls:
            if lost is not None and call.once:
                call.fail(lost)
            else:
                self._run_call(call)

    def _run_call(self, call: Call) -> None:
        try:
            call.succeed(self._run_alone(call.statement, call.params, call.answer, call.once))
        except Exception as exc:
            call.fail(exc)

    def _run_together(self, calls: Sequence[Call]) -> None:
        # In one order, so that two processes do not block each other.
        calls = sorted(calls, key=lambda call: call.row)
        if has_pipeline(self._ready()):
            results = self._run_pipeline(calls)
        else:
            with self.transaction():
                results = [
                    self._run_once(call.statement, call.params, call.answer) for call in calls
                ]
        for call, result in zip(calls, results, strict=True):
            call.succeed(result)

    def _run_pipeline(self, calls: Sequence[Call]) -> list[Any]:
        # One round trip; what PostgreSQL gets until the end of a pipeline is one transaction.
        connection, cursors = self._ready(), self._first_cursors(len(calls))
        with read_only_is_lost(), connection.wrap_database_errors, connection.connection.pipeline():
            for call, cursor in zip(calls, cursors, strict=True):
                cursor.execute(call.statement, call.params)
        return [call.answer(cursor) for call, cursor in zip(calls, cursors, strict=True)]

    def _was_cut(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        # Before 5.1, Django takes for granted that there has been a connection.
        return connection.connection is None or not connection.is_usable()

    def _ready(self) -> Any:
        ready = self._connection
        if ready is not None:  # its kind is asked for while another thread uses it
            return ready
        with self._lock:
            if self._connection is None:
                self._connection = connection_beside(alias())
                self._connection.inc_thread_sharing()
            return self._connection

    def _begun(self) -> Any:
        connection = self._ready()
        try:
            connection.set_autocommit(False)
        except LOST:
            self.close()
            connection = self._ready()
            connection.set_autocommit(False)
        if connection.vendor == "sqlite":
            # A transaction that reads first could not become one that writes.
            with connection.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
        return connection

    def _end(self, end: Callable[[], None]) -> None:
        self._depth = 0
        try:
            end()
            self._connection.set_autocommit(True)
        except BaseException:
            self.close()
            raise


def close_all() -> None:
    """Close every connection of this process; those that are needed again are opened again."""
    for connection in list(_all):
        connection.close()


_all: WeakSet[OwnConnection] = WeakSet()
_inherited: list[Any] = []
