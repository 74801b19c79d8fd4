"""Chords, counted in the database: the part that ends last publishes the body in its own
transaction.
"""

from __future__ import annotations

import json
from typing import Any

from celery import Celery, maybe_signature
from celery.exceptions import ChordError
from celery.result import GroupResult, allow_join_result, result_from_tuple
from django.db import DatabaseError
from kombu.log import get_logger

from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of
from cq_compat.errors import DatabaseUnavailable

logger = get_logger(__name__)


def begin(group_id: str, header: GroupResult) -> None:
    """Remember the header of a chord; its parts are published afterwards.

    A body that runs once more begins its chords once more, and their parts are known then.
    """
    connection = own_connection()
    dialect = dialect_of(connection.vendor)
    ignore = dialect.ignore.format(key="group_id")
    connection.execute(
        "INSERT INTO cq_chord (group_id, header, size, done, created_at) "
        f"VALUES (%s, %s, 0, 0, {dialect.now}) {ignore}",
        [group_id, json.dumps(header.as_tuple())],
    )


def set_size(group_id: str, size: int) -> None:
    """Learn how many parts there are; known before the last one is published."""
    own_connection().execute("UPDATE cq_chord SET size = %s WHERE group_id = %s", [size, group_id])


def part_done(group_id: str) -> str | None:
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
    return str(found[0][0])


def publish_body(app: Celery, backend: Any, header: str, body: Any) -> None:
    """Publish the body with the results of the header, or fail it if a part has failed."""
    callback = maybe_signature(body, app=app)
    results = result_from_tuple(json.loads(header), app)
    try:
        with allow_join_result():
            values = results.join_native(propagate=True, timeout=0)
    except DatabaseError:
        raise
    except Exception as exc:
        culprit = next(results._failed_join_report(), None)
        reason = f"Dependency {culprit.id} raised {exc!r}" if culprit else repr(exc)
        _fail(backend, callback, reason, exc)
        return
    try:
        callback.delay(values)
    except (DatabaseError, DatabaseUnavailable):
        raise
    except Exception as exc:
        logger.exception("Chord %s: the body could not be published", results.id)
        _fail(backend, callback, f"Callback error: {exc!r}", exc)


def _fail(backend: Any, callback: Any, reason: str, cause: Exception) -> None:
    error = ChordError(reason)
    error.__cause__ = cause  # a body that is a group is told of it
    backend.chord_error_from_stack(callback, error)
