"""Deletes what ended long ago."""

from __future__ import annotations

from collections.abc import Sequence

from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of
from cq_compat.mirror import PublishingMirror
from cq_compat.mirror.table import LIVE
from cq_compat.retention import Rule, over, youngest
from cq_compat.walk import CHUNK, walk

#: Seconds for which workers are remembered that have stopped.
WORKERS_KEPT = 86_400.0


def prune(rules: Sequence[Rule], *, dry_run: bool = False) -> int:
    """Delete finished tasks whose time is over by the rules; return how many there are.

    One walk along the index of the times at which tasks ended: what has ended since, and what has
    not, is not looked at. Subtasks are kept as long as their parent may ask for them.
    """
    age = youngest(rules)
    if age is None:
        return 0
    connection = own_connection()
    mirror, dialect = PublishingMirror(connection), dialect_of(connection.vendor)
    expression, params = over(rules, dialect)
    parent = f"SELECT 1 FROM cq_task p WHERE p.id = cq_task.parent_id AND p.{LIVE}"
    guard = (
        f"finished_at IS NOT NULL AND finished_at < {dialect.later} "
        f"AND NOT (is_subtask AND EXISTS ({parent}))"
    )
    pruned = 0
    for rows in walk(connection, "finished_at", expression, guard, [*params, -age]):
        ids = [row[0] for row in rows if row[2]]
        if ids:
            pruned += len(ids if dry_run else mirror.forget(ids))
    return pruned


def prune_remains(age: float) -> None:
    """Delete saved groups older than ``age`` seconds, chords as old none of whose parts is alive,
    keys as old of tasks that have ended, workers that stopped long ago, and lines as old of tasks
    that there are not.
    """
    parts = f"SELECT 1 FROM cq_task t WHERE t.group_id = cq_chord.group_id AND t.{LIVE}"
    _delete("cq_group", "id", "created_at", age)
    _delete("cq_chord", "group_id", "created_at", age, f" AND NOT EXISTS ({parts})")
    task = f"SELECT 1 FROM cq_task t WHERE t.id = cq_coalescing.task_id AND t.{LIVE}"
    _delete("cq_coalescing", "name", "taken_at", age, f" AND NOT EXISTS ({task})")
    _delete("cq_worker", "id", "stopped_at", WORKERS_KEPT)
    known = "SELECT 1 FROM cq_task t WHERE t.id = cq_tasklog.task_id"
    _delete("cq_tasklog", "id", "created_at", age, f" AND NOT EXISTS ({known})")


def _delete(table: str, key: str, time: str, age: float, also: str = "") -> None:
    connection = own_connection()
    guard = f"{time} < {dialect_of(connection.vendor).later}{also}"
    while True:
        found = connection.fetch(f"SELECT {key} FROM {table} WHERE {guard} LIMIT {CHUNK}", [-age])
        if found:
            marks = ", ".join(["%s"] * len(found))
            keys = [row[0] for row in found]
            connection.execute(f"DELETE FROM {table} WHERE {key} IN ({marks})", keys)
        if len(found) < CHUNK:
            return
