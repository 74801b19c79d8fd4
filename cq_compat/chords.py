"""Chords, counted in the database: the part that ends last publishes the body in its own
transaction.
"""

from __future__ import annotations

import json
from collections import UserList
from typing import Any, NamedTuple

from celery import Celery, maybe_signature
from celery import states as celery_states
from celery.exceptions import ChordError
from celery.result import AsyncResult, GroupResult, ResultBase, allow_join_result, result_from_tuple
from django.db import DatabaseError
from kombu.log import get_logger
from kombu.serialization import loads

from cq_compat import states
from cq_compat.database import Connection, own_connection, publishing_connection
from cq_compat.dialects import dialect_of
from cq_compat.errors import DatabaseUnavailable
from cq_compat.mirror.table import LIVE, marks
from cq_transport import current_ledger
from cq_transport.envelope import from_text

logger = get_logger(__name__)

_SETTLED = sorted(states.SETTLED)


class Header(NamedTuple):
    """The header of a chord whose parts have all ended.

    Args:
        text: its result as JSON; empty if its parts are to be found by their group.
        size: how many parts it has at least.
    """

    group_id: str
    text: str
    size: int

    def results(self, app: Celery) -> GroupResult:
        """Return its result."""
        if self.text:
            return result_from_tuple(json.loads(self.text), app)
        return app.GroupResult(self.group_id, [app.AsyncResult(part) for part in self._parts()])

    def _parts(self) -> list[str]:
        # In the order in which they were published; Celery counts each inner group by itself.
        rows = own_connection().fetch(
            "SELECT created_at, message, id FROM cq_task WHERE group_id = %s AND message <> ''",
            [self.group_id],
        )
        places = sorted((at, _place(message), part) for at, message, part in rows)
        return [part for _, _, part in places]


def begin(app: Celery, group_id: str, parts: Any, *parent: Any) -> None:
    """Remember the header of a chord; its parts are published afterwards.

    A body that runs once more begins its chords once more, and their parts are known then. A header
    that is a generator is not remembered, because its parts are not made yet: their rows are.
    """
    header = ""
    if not (isinstance(parts, UserList) and _keeps_rows(app)):
        header = json.dumps(app.GroupResult(group_id, parts, *parent).as_tuple())
    connection = publishing_connection()  # its parts are rows of the same transaction
    dialect = dialect_of(connection.vendor)
    ignore = dialect.ignore.format(key="group_id")
    connection.execute(
        "INSERT INTO cq_chord (group_id, header, size, done, created_at) "
        f"VALUES (%s, %s, 0, 0, {dialect.now}) {ignore}",
        [group_id, header],
    )


def set_size(group_id: str, size: int) -> None:
    """Learn how many parts there are; known before the last one is published."""
    publishing_connection().execute(
        "UPDATE cq_chord SET size = %s WHERE group_id = %s", [size, group_id]
    )


def add_part(connection: Connection, group_id: str, part: ResultBase) -> None:
    """Let a chord, one of whose parts runs, wait for one part more."""
    with connection.transaction():
        connection.execute("UPDATE cq_chord SET size = size + 1 WHERE group_id = %s", [group_id])
        found = connection.fetch("SELECT header FROM cq_chord WHERE group_id = %s", [group_id])
        if found and found[0][0]:
            result, parts = json.loads(found[0][0])
            connection.execute(
                "UPDATE cq_chord SET header = %s WHERE group_id = %s",
                [json.dumps((result, [*parts, part.as_tuple()])), group_id],
            )


def part_done(group_id: str) -> Header | None:
    """Count a part that has ended; the last one gets the header, and the chord ends.

    To be called in the transaction that ends the part: a part is counted once.
    """
    connection = own_connection()
    connection.execute("UPDATE cq_chord SET done = done + 1 WHERE group_id = %s", [group_id])
    found = connection.fetch(
        "SELECT header, size FROM cq_chord WHERE group_id = %s AND size > 0 AND done >= size",
        [group_id],
    )
    if not found:
        return None
    connection.execute("DELETE FROM cq_chord WHERE group_id = %s", [group_id])
    return Header(group_id, *found[0])


def is_awaited(task_id: str) -> bool:
    """Tell whether a chord of a task's subtasks has yet to publish its body: the last part may have
    ended, in the transaction of its own body, before it is counted.
    """
    begun = "SELECT COALESCE(p.started_at, p.created_at) FROM cq_task p WHERE p.id = %s"
    return bool(
        own_connection().fetch(
            "SELECT 1 FROM cq_chord c JOIN cq_task s ON s.group_id = c.group_id "
            f"WHERE s.parent_id = %s AND s.is_subtask AND c.size > 0 AND s.created_at >= ({begun}) "
            "LIMIT 1",
            [task_id, task_id],
        )
    )


def uncounted(age: float, limit: int) -> list[str]:
    """Return the groups of chords, begun more than ``age`` seconds ago, whose parts have all ended:
    some were ended by an operator or a keeper, who count nothing.
    """
    connection = own_connection()
    part = "SELECT {} FROM cq_task t WHERE t.group_id = cq_chord.group_id AND t.{}"
    settled = f"state IN ({marks(_SETTLED)})"
    rows = connection.fetch(
        f"SELECT group_id FROM cq_chord WHERE size > 0 "
        f"AND created_at < {dialect_of(connection.vendor).later} "
        f"AND NOT EXISTS ({part.format('1', LIVE)}) "
        f"AND size <= ({part.format('COUNT(*)', settled)}) LIMIT %s",
        [-age, *_SETTLED, limit],
    )
    return [row[0] for row in rows]


def complete(app: Celery, backend: Any, group_id: str) -> bool:
    """Go on with a chord whose parts have all ended; tell whether nobody else has."""
    connection = own_connection()
    with connection.transaction():
        found = connection.fetch(
            "SELECT header, size FROM cq_chord WHERE group_id = %s", [group_id]
        )
        if not connection.execute("DELETE FROM cq_chord WHERE group_id = %s", [group_id]):
            return False
        publish_body(app, backend, Header(group_id, *found[0]), _body_of(group_id))
    return True


def publish_body(app: Celery, backend: Any, header: Header, body: Any) -> None:
    """Publish the body with the results of the header, or fail it if a part has failed."""
    callback = maybe_signature(body, app=app)
    results = header.results(app)
    try:
        if not header.text and len(results) < header.size:
            raise LookupError(f"{len(results)} of {header.size} parts are known")
        with allow_join_result():
            values = results.join_native(propagate=True, timeout=0)
    except DatabaseError:
        raise
    except Exception as exc:
        culprit = _failed_part(results)
        reason = f"Dependency {culprit} raised {exc!r}" if culprit else repr(exc)
        _fail(backend, callback, reason, exc)
        return
    try:
        callback.delay(values)
    except (DatabaseError, DatabaseUnavailable):
        raise
    except Exception as exc:
        logger.exception("Chord %s: the body could not be published", results.id)
        _fail(backend, callback, f"Callback error: {exc!r}", exc)


def _body_of(group_id: str) -> Any:
    # Every part carries it.
    rows = own_connection().fetch(
        "SELECT message FROM cq_task WHERE group_id = %s AND message <> '' LIMIT 1", [group_id]
    )
    message = from_text(rows[0][0])
    kind = message.get("content-type")
    _, _, embed = loads(message["body"], kind, message.get("content-encoding"), accept={kind})
    return embed["chord"]


def _place(message: str) -> int:
    return from_text(message)["headers"].get("group_index") or 0


def _keeps_rows(app: Celery) -> bool:
    # The messages of the first protocol have no headers to make rows of.
    return current_ledger().is_durable and app.conf.task_protocol > 1


def _failed_part(header: GroupResult) -> str | None:
    parts = (part for part in header.results if isinstance(part, AsyncResult))
    return next((part.id for part in parts if part.state in celery_states.PROPAGATE_STATES), None)


def _fail(backend: Any, callback: Any, reason: str, cause: Exception) -> None:
    error = ChordError(reason)
    error.__cause__ = cause  # a body that is a group is told of it
    backend.chord_error_from_stack(callback, error)
