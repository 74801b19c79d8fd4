"""Ends of tasks: what every verb that writes one has in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from kombu.log import get_logger

from cq_compat.database import Connection
from cq_compat.dialects import Dialect, dialect_of
from cq_compat.mirror.outcomes import End
from cq_compat.mirror.table import Params, TaskTable
from cq_compat.signals import task_finished

logger = get_logger(__name__)

_NEXT = (
    "EXISTS (SELECT 1 FROM cq_task n WHERE n.previous_id = cq_task.id "
    "AND n.is_held AND n.finished_at IS NULL)"
)
_COLUMNS = f"id, state, watcher, CASE WHEN is_subtask THEN parent_id END, {_NEXT}"


class EndingTable(TaskTable):
    """Writes ends, tells of them, and lets follow what follows once they are committed."""

    def end_one(
        self, task_id: str, sets: str, values: Params, guard: str, params: Params
    ) -> End | None:
        """End the one task that meets the guard; ``None`` if it does not."""
        if self.dialect.has_returning:
            rows = self.update_returning(sets, values, guard, params, _COLUMNS, row=task_id)
        elif self.update_one(sets, values, guard, params, row=task_id):
            rows = self.select(_COLUMNS, "id = %s", [task_id])
        else:
            rows = []
        ends = _read(rows)
        self.tell(ends)
        return ends[0] if ends else None

    def end_many(self, sets: str, values: Params, guard: str, params: Params) -> list[End]:
        """End the tasks that meet the guard."""
        ends = _read(self.update_returning(sets, values, guard, params, _COLUMNS))
        self.tell(ends)
        return ends

    def tell(self, ends: list[End]) -> None:
        """Tell of ends, and let follow what follows from them, once they are committed."""
        told = [end.task_id for end in ends if not end.is_waiting]
        if told and task_finished.is_heard:
            self.connection.on_commit(partial(_tell_finished, self.connection, told))
        concerned = [end for end in ends if end.has_followers]
        if concerned:
            self.connection.on_commit(partial(_follow, concerned))


def _read(rows: Sequence[Any]) -> list[End]:
    return [End(row[0], row[1], row[2] or "", row[3], bool(row[4])) for row in rows]


def _follow(ends: list[End]) -> None:
    from cq_compat.native.following import follow

    follow(ends)


def _tell_finished(connection: Connection, task_ids: Sequence[str]) -> None:
    """Send ``task_finished`` of each; a failure is logged and no more."""
    try:
        dialect = dialect_of(connection.vendor)
        marks = ", ".join(["%s"] * len(task_ids))
        rows = connection.fetch(
            f"SELECT id, name, queue, state, {_seconds(dialect)} FROM cq_task "
            f"WHERE id IN ({marks})",
            task_ids,
        )
    except Exception:
        logger.warning("Nobody is told that %s ended.", ", ".join(task_ids), exc_info=True)
        return
    for task_id, name, queue, state, waited, ran in rows:
        task_finished.tell(
            task_id=task_id,
            name=name,
            queue=queue,
            state=state,
            waited=None if waited is None else max(0.0, float(waited)),
            ran=None if ran is None else float(ran),
        )


def _seconds(dialect: Dialect) -> str:
    wanted = "CASE WHEN eta > created_at THEN eta ELSE created_at END"
    waited = dialect.seconds.format(since=wanted, to="started_at")
    ran = dialect.seconds.format(since="started_at", to="finished_at")
    return f"{waited}, {ran}"
