"""Walks over many rows along an index, some at a time, so that nothing is locked for long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cq_compat.database import Connection, Row
from cq_compat.dialects import dialect_of

#: Rows read, changed or deleted by one statement.
CHUNK = 1000


def walk(
    connection: Connection, by: str, columns: str, guard: str, params: Sequence[Any]
) -> Iterator[list[Row]]:
    """Yield the tasks that meet the guard in the order of ``by``, an indexed time.

    Each row has the id, that time, and ``columns``. Rows may be changed or deleted between two
    steps: the walk goes on behind the last one.
    """
    moment = dialect_of(connection.vendor).moment
    behind = ""
    place: list[Any] = []
    while True:
        rows = connection.fetch(
            f"SELECT id, {by}, {columns} FROM cq_task WHERE {guard}{behind} "
            f"ORDER BY {by}, id LIMIT {CHUNK}",
            [*params, *place],
        )
        if rows:
            yield rows
        if len(rows) < CHUNK:
            return
        last_id, last_time = rows[-1][:2]
        at = connection.adapt_time(last_time)
        behind = f" AND {by} >= {moment} AND ({by} > {moment} OR id > %s)"
        place = [at, at, last_id]
