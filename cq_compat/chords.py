"""Chords, counted in the database: the part that ends last publishes the body in its own
transaction.
"""

from __future__ import annotations

import json
from collections import UserList
from typing import Any

from celery import Celery, maybe_signature, states
from celery.exceptions import ChordError
from celery.result import AsyncResult, GroupResult, ResultBase, allow_join_result, result_from_tuple
from django.db import DatabaseError
from kombu.log import get_logger

from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of
from cq_compat.errors import DatabaseUnavailable
from cq_transport import current_ledger
from cq_transport.envelope import from_text

logger = get_logger(__name__)


def begin(app: Celery, group_id: str, parts: Any, *parent: Any) -> None:
    """Remember the header of a chord; its parts are published afterwards.

    A body that runs once more begins its chords once more, and their parts are known then. A header
    that is a generator is not remembered, because its parts are not made yet: their rows are.
    """
    header = ""
    if not isinstance(parts, UserList) or not current_ledger().is_durable:
        header = json.dumps(app.GroupResult(group_id, parts, *parent).as_tuple())
    connection = own_connection()
    dialect = dialect_of(connection.vendor)
    ignore = dialect.ignore.format(key="group_id")
    connection.execute(
        "INSERT INTO cq_chord (group_id, header, size, done, created_at) "
        f"VALUES (%s, %s, 0, 0, {dialect.now}) {ignore}",
        [group_id, header],
    )


def set_size(group_id: str, size: int) -> None:
    """Learn how many parts there are; known before the last one is published."""
    own_connection().execute("UPDATE cq_chord SET size = %s WHERE group_id = %s", [size, group_id])


def add_part(group_id: str, part: ResultBase) -> None:
    """Let a chord, one of whose parts runs, wait for one part more."""
    connection = own_connection()
    with connection.transaction():
        connection.execute("UPDATE cq_chord SET size = size + 1 WHERE group_id = %s", [group_id])
        found = connection.fetch("SELECT header FROM cq_chord WHERE group_id = %s", [group_id])
        if found and found[0][0]:
            result, parts = json.loads(found[0][0])
            connection.execute(
                "UPDATE cq_chord SET header = %s WHERE group_id = %s",
                [json.dumps((result, [*parts, part.as_tuple()])), group_id],
            )


def part_done(app: Celery, group_id: str) -> GroupResult | None:
    """Count a part that has ended; the last one gets the header's results, and the chord ends.

    To be called in the transaction that ends the part: a part is counted once.
    """
    connection = own_connection()
    connection.execute("UPDATE cq_chord SET done = done + 1 WHERE group_id = %s", [group_id])
    found = connection.fetch(
        "SELECT header FROM cq_chord WHERE group_id = %s AND size > 0 AND done >= size", [group_id]
    )
    if not found:
        return None
    connection.execute("DELETE FROM cq_chord WHERE group_id = %s", [group_id])
    if header := found[0][0]:
        return result_from_tuple(json.loads(header), app)
    return app.GroupResult(group_id, [app.AsyncResult(part) for part in _published(group_id)])


def publish_body(app: Celery, backend: Any, results: GroupResult, body: Any) -> None:
    """Publish the body with the results of the header, or fail it if a part has failed."""
    callback = maybe_signature(body, app=app)
    try:
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


def _published(group_id: str) -> list[str]:
    """Return the ids of a group's tasks in the order of the group."""
    rows = own_connection().fetch(
        "SELECT id, message FROM cq_task WHERE group_id = %s AND message <> ''", [group_id]
    )
    places = {
        task_id: from_text(message)["headers"].get("group_index") for task_id, message in rows
    }
    return sorted(places, key=lambda task_id: places[task_id] or 0)


def _failed_part(header: GroupResult) -> str | None:
    parts = (part for part in header.results if isinstance(part, AsyncResult))
    return next((part.id for part in parts if part.state in states.PROPAGATE_STATES), None)


def _fail(backend: Any, callback: Any, reason: str, cause: Exception) -> None:
    error = ChordError(reason)
    error.__cause__ = cause  # a body that is a group is told of it
    backend.chord_error_from_stack(callback, error)
