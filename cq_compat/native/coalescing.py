"""Lets one task of a kind be pending or run at a time.

A row of ``cq_compat.models.Coalescing`` names the task that was published last under a key. Whoever
publishes the next one locks that row, in the transaction that records the task, and looks whether
the last one has ended: two at once cannot both find that it has.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cq_compat.conf import conf
from cq_compat.database import LOST, Connection, publishing_connection
from cq_compat.dialects import dialect_of
from cq_compat.encoding import storable
from cq_compat.errors import DatabaseUnavailable
from cq_compat.mirror.table import LIVE

#: The longest key that the column takes.
LONGEST = 255
#: Seconds after which a task of another broker counts as lost if nothing was seen of it since: so
#: long Celery's Redis waits, unless it is told otherwise, for a worker that has a message.
SILENCE = 3600.0
_SEEN = ("created_at", "eta", "received_at", "started_at")


def publish_one(key: str, task_id: str, publish: Callable[[], object]) -> str:
    """Publish a task unless another one of its key is pending or runs; return the id of the one
    that is or does then.

    Args:
        publish: publishes the task with the id ``task_id``.

    Raises:
        DatabaseUnavailable: nobody knows whether there is another one, and nothing was published.
    """
    try:
        return _publish_one(name_of(key), task_id, publish)
    except LOST as exc:
        if conf().ON_DATABASE_DOWN != "publish":
            raise DatabaseUnavailable(
                f"Task {key}[{task_id}] was not accepted: the database does not answer ({exc})."
            ) from exc
    publish()
    return task_id


def _publish_one(name: str, task_id: str, publish: Callable[[], object]) -> str:
    connection = publishing_connection()
    with connection.transaction():
        last = _last(connection, name, task_id)
        if last == task_id or not _is_live(connection, last):
            _take(connection, name, task_id)
            publish()
            return task_id
    return last


def key_of(
    name: str, rule: bool | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """Return the key of a task by its option ``coalesce``; ``None`` if it is published anyhow."""
    if not rule:
        return None
    return f"{name}:{rule(*args, **kwargs)}" if callable(rule) else name


def name_of(key: str) -> str:
    """Return a key as its row has it: short enough, and apart from others for a database that
    makes no difference between small and capital letters.
    """
    digest = sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{storable(key)[: LONGEST - len(digest) - 1]}:{digest}"


def _last(connection: Connection, name: str, task_id: str) -> str:
    # The first statement is one that writes: SQLite would not let a reader become a writer.
    dialect = dialect_of(connection.vendor)
    ignore = dialect.ignore.format(key="name")
    connection.execute(
        f"INSERT INTO cq_coalescing (name, task_id, taken_at) VALUES (%s, %s, {dialect.now}) "
        f"{ignore}",
        [name, task_id],
    )
    lock = "" if connection.vendor == "sqlite" else "FOR UPDATE"
    found = connection.fetch(f"SELECT task_id FROM cq_coalescing WHERE name = %s {lock}", [name])
    return str(found[0][0])


def _is_live(connection: Connection, task_id: str) -> bool:
    # A statement of its own: one that has waited for the lock sees what was before it waited.
    later = dialect_of(connection.vendor).later
    seen = " OR ".join(f"{time} > {later}" for time in _SEEN)
    # Without a message nobody here sends it again or ends it, should its broker have lost it.
    statement = f"SELECT 1 FROM cq_task WHERE id = %s AND {LIVE} AND (message <> '' OR {seen})"
    return bool(connection.fetch(statement, [task_id, *[-SILENCE] * len(_SEEN)]))


def _take(connection: Connection, name: str, task_id: str) -> None:
    now = dialect_of(connection.vendor).now
    connection.execute(
        f"UPDATE cq_coalescing SET task_id = %s, taken_at = {now} WHERE name = %s", [task_id, name]
    )
