"""What is written of what tasks say."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from cq_compat.database import OwnConnection
from cq_compat.mirror.table import TaskTable, marks

if TYPE_CHECKING:
    from cq_compat.native.journal import Line, Step


class JournalMirror(TaskTable):
    """The verbs of bodies that tell what they do; none changes who may do what."""

    connection: OwnConnection

    def tell(self, lines: Sequence[Line], steps: Sequence[Step]) -> None:
        """Write lines, in their order, and how far tasks are."""
        with self.connection.transaction():
            self._log(lines)
            self._trim(lines)
            self._progress(steps)

    def _log(self, lines: Sequence[Line]) -> None:
        roots = self._roots({line.task_id for line in lines})
        self.connection.execute_many(
            "INSERT INTO cq_tasklog (task_id, root_id, number, level, logger, message, created_at) "
            f"VALUES (%s, %s, %s, %s, %s, %s, {self.later})",
            [
                [line.task_id, roots.get(line.task_id) or line.task_id, *line[1:5], line.at - now]
                for now in [monotonic()]
                for line in lines
            ],
        )

    def _trim(self, lines: Sequence[Line]) -> None:
        floors: dict[str, int] = {}
        for line in lines:
            floors[line.task_id] = max(line.floor, floors.get(line.task_id, 0))
        for task_id, floor in sorted(floors.items()):
            if floor > 0:
                self.connection.execute(
                    "DELETE FROM cq_tasklog WHERE task_id = %s AND number <= %s", [task_id, floor]
                )

    def _progress(self, steps: Sequence[Step]) -> None:
        # By the fence alone: the last step of a body may come after its end.
        self.connection.execute_many(
            "UPDATE cq_task SET progress_done = %s, progress_total = %s, progress_message = %s "
            "WHERE id = %s AND fence = COALESCE(%s, fence)",
            [
                [step.done, step.total, step.message, step.task_id, step.fence]
                for step in sorted(steps, key=lambda step: step.task_id)
            ],
        )

    def _roots(self, task_ids: set[str]) -> dict[str, str]:
        if not task_ids:
            return {}
        found = self.select("id, root_id", f"id IN ({marks(list(task_ids))})", sorted(task_ids))
        return {row[0]: row[1] for row in found}
