"""Deletes what has ended long ago, some rows at a time so that nothing is locked for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of

#: Rows deleted by one statement.
CHUNK = 1000


def prune(age: float, state: str = "") -> int:
    """Delete tasks that ended more than ``age`` seconds ago, of one state if one is given, with
    groups and chords as old; return how many tasks there were.
    """
    connection = own_connection()
    before = dialect_of(connection.vendor).later
    guard, params = f"finished_at < {before}", [-age, *([state] if state else [])]
    if state:
        guard += " AND state = %s"
    pruned = _in_chunks(lambda: _delete_tasks(guard, params))
    if not state:
        for table in ("cq_group", "cq_chord"):
            connection.execute(f"DELETE FROM {table} WHERE created_at < {before}", [-age])
    return pruned


def _delete_tasks(guard: str, params: Sequence[object]) -> int:
    connection = own_connection()
    found = connection.fetch(
        f"SELECT id FROM cq_task WHERE {guard} ORDER BY finished_at LIMIT {CHUNK}", params
    )
    if not found:
        return 0
    ids = [row[0] for row in found]
    return connection.execute(
        f"DELETE FROM cq_task WHERE id IN ({', '.join(['%s'] * len(ids))}) "
        "AND finished_at IS NOT NULL",
        ids,
    )


def _in_chunks(delete: Callable[[], int]) -> int:
    total = 0
    while deleted := delete():
        total += deleted
    return total
