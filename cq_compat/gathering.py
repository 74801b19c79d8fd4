"""Many tasks as one: what a block publishes is one transaction, and few statements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections
from kombu.log import get_logger

from cq_compat.conf import conf
from cq_compat.database import LOST, CallersConnection, Connection
from cq_compat.errors import DatabaseUnavailable
from cq_compat.recording import Publication, record_all
from cq_compat.records import HEADER

logger = get_logger(__name__)

#: Tasks that are gathered at most before their rows are made.
MOST = 500


@contextmanager
def bulk() -> Iterator[None]:
    """Publish everything in the block together, or nothing of it.

    The block is a transaction of the tasks' database, a savepoint within the caller's own. Ids are
    there at once, as ever; the rows are made at the end, many by one statement, or earlier if
    something in the block reads them. The messages are sent when the transaction has committed.
    Without ``CQ["DURABLE"]`` there are no rows, and the block changes nothing.

    Raises:
        DatabaseUnavailable: the database does not answer; nothing was published.
    """
    with ExitStack() as block:
        batch = _begin(block) if conf().DURABLE else None
        if batch is None:
            yield
            return
        outer, _here.batch = current_batch(), batch
        try:
            with batch.database.execute_wrapper(batch.look):
                yield
        finally:
            _here.batch = outer
        batch.end()


class Batch:
    """Messages whose rows are not made yet.

    Args:
        connection: the publisher's, in a transaction.
    """

    def __init__(self, connection: CallersConnection) -> None:
        self.database = connections[connection.alias]
        self._connection = connection
        self._depth = len(self.database.savepoint_ids)
        self._gathered: list[Publication] = []
        self._error: Exception | None = None

    def takes(self, connection: Connection, publication: Publication) -> bool:
        """Tell whether a row may be made later. One within a savepoint may not: that is rolled
        back without a word.
        """
        return (
            isinstance(connection, CallersConnection)
            and connection.alias == self._connection.alias
            and len(self.database.savepoint_ids) == self._depth
            and publication.is_sent_on_commit
            and conf().ON_DATABASE_DOWN != "publish"
        )

    def add(self, publication: Publication) -> None:
        """Make a row later.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        publication.message.envelope["headers"][HEADER] = {"run": 0}  # no observer is to keep it
        self._gathered.append(publication)
        if len(self._gathered) >= MOST:
            self.flush()

    def look(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Run a statement of the block, after those that it must not come before."""
        text = str(sql)
        if "cq_task" in text or text.startswith("SAVEPOINT"):
            self.flush()
        return execute(sql, params, many, context)

    def flush(self) -> None:
        """Make the rows of what was gathered.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        try:
            record_all(self._connection, gathered)
        except LOST as exc:
            self._error = _unavailable(exc)
            raise self._error from exc
        except Exception as exc:
            self._error = exc
            raise

    def end(self) -> None:
        """Make the rows that are not made yet; to be called before the commit.

        Raises:
            Exception: some could not be made, now or earlier.
        """
        if self._error is not None:  # somebody has caught it
            raise self._error
        if not self.database.needs_rollback:
            self.flush()


def current_batch() -> Batch | None:
    """Return the batch of the block that this thread is in."""
    return getattr(_here, "batch", None)


def _begin(block: ExitStack) -> Batch | None:
    """Begin a block's transaction; return its batch if there is one."""
    connection = CallersConnection()
    database = connections[connection.alias]
    try:
        if not database.in_atomic_block:
            block.enter_context(_left_if_unavailable(database))
            if database.connection is not None and not database.is_usable():
                database.close()  # it has idled, and was cut
        block.enter_context(connection.transaction())
    except LOST as exc:
        if conf().ON_DATABASE_DOWN == "publish":
            logger.error("Tasks are published one by one: %s", exc)
            return None
        raise _unavailable(exc) from exc
    return Batch(connection)


@contextmanager
def _left_if_unavailable(database: Any) -> Iterator[None]:
    try:
        yield
    except DatabaseUnavailable:
        database.close()  # the next one may lead to a server that can write
        raise


def _unavailable(exc: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"None of these tasks was accepted: the database does not answer ({exc})."
    )


_here = threading.local()
