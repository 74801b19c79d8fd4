"""What follows for the family when one of its tasks has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cq_compat import links, states
from cq_compat.mirror.endings import EndingTable
from cq_compat.mirror.outcomes import End, Outcome
from cq_compat.mirror.table import ALL_ENDED, LIVE, OPEN, UNSETTLED, Params, marks
from cq_compat.records import PUBLISHER_TIME


class Parent(NamedTuple):
    """A task that waits although all of its subtasks have ended."""

    id: str
    name: str
    run: int
    fence: int
    message: str
    result: str | None
    content_type: str
    result_from: str | None
    subtasks_may_fail: bool


class Previous(NamedTuple):
    """A task for which others are held.

    Args:
        result_from: itself, if those have its id from which its outcome comes.
    """

    id: str
    name: str
    state: str
    result: str | None
    content_type: str
    finished_at: Any
    result_from: str | None

    @property
    def has_outcome(self) -> bool:
        """Whether the outcome is known; a task that was ignored ends without one."""
        return self.state in states.SETTLED

    @property
    def is_open(self) -> bool:
        """Whether an outcome is to be expected: the task has not ended, or it has left that to
        those that were put in its place.
        """
        return self.finished_at is None or (not self.has_outcome and self.result_from == self.id)


class Held(NamedTuple):
    """A task that is held until its previous one has ended."""

    id: str
    name: str
    run: int
    broker: str
    exchange: str
    queue: str
    priority: int
    message: str
    eta: Any
    runs_after: str


# Not for others in its own place.
_WAITS = f"id = %s AND state = '{states.WAITING}' AND waiting_since IS NOT NULL AND {OPEN}"
#: Subtasks but those of an earlier attempt, which has been made up for.
_SUBTASKS = (
    "is_subtask AND parent_id = %s AND (id = %s OR created_at >= "
    "(SELECT COALESCE(p.started_at, p.created_at) FROM cq_task p WHERE p.id = %s))"
)
_FAILED = f"{_SUBTASKS} AND ended_as IS NOT NULL AND ended_as <> '{states.IGNORED}'"


class FamilyMirror(EndingTable):
    """The verbs of whoever has ended a task of a family."""

    def ready(self, task_id: str) -> Parent | None:
        """Return the task if it waits for nothing any more."""
        rows = self.select(
            ", ".join(Parent._fields), f"{_WAITS} AND {ALL_ENDED}", [task_id, task_id]
        )
        return Parent(*rows[0]) if rows else None

    def failed(self, parent: Parent, limit: int) -> list[tuple[str, str]]:
        """Return the ids and names of the subtasks that have not ended well."""
        rows = self.select("id, name", _FAILED, [*_subtasks(parent), limit], "LIMIT %s")
        return [(row[0], row[1]) for row in rows]

    def count(self, parent: Parent) -> tuple[int, int]:
        """Return how many of its subtasks have failed, and how many there are."""
        [(failed,)] = self.select("COUNT(*)", _FAILED, _subtasks(parent))
        [(all_,)] = self.select("COUNT(*)", _SUBTASKS, _subtasks(parent))
        return int(failed), int(all_)

    def complete(self, parent: Parent, outcome: Outcome) -> End | None:
        """End a task that waits for nothing any more; ``None`` if others have."""
        guard = f"{_WAITS} AND run = %s AND {ALL_ENDED}"
        return self._end(parent.id, outcome, guard, [parent.id, parent.run, parent.id])

    def join(self, task_id: str, parent_id: str) -> bool:
        """Let a task be another's subtask from now on; tell whether there is one of that id."""
        return self.update_one(
            "is_subtask = TRUE, parent_id = %s", [parent_id], "id = %s", [task_id]
        )

    def held(self, previous_id: str, limit: int) -> list[Held]:
        """Return tasks that are held for another."""
        guard = f"previous_id = %s AND is_held AND {LIVE}"
        rows = self.select(", ".join(Held._fields), guard, [previous_id, limit], "LIMIT %s")
        return [Held(*row) for row in rows]

    def release(self, held: Held, message: str, args: str, *, is_sent: bool) -> bool:
        """Let a held task run, with a message that has its arguments; tell whether it was held.

        Args:
            is_sent: whether it is sent now; otherwise by a keeper, when its time has come.
        """
        at = self.later if is_sent else f"COALESCE(eta, {self.now})"
        return self.update_one(
            f"is_held = FALSE, message = %s, args = %s, due_at = {at}",
            [message, args, *([PUBLISHER_TIME] if is_sent else [])],
            f"id = %s AND run = %s AND is_held AND {OPEN}",
            [held.id, held.run],
        )

    def give_up(self, held: Held, outcome: Outcome) -> End | None:
        """End a held task that will not run; ``None`` if it is not held."""
        guard = f"id = %s AND run = %s AND is_held AND {OPEN}"
        return self._end(held.id, outcome, guard, [held.id, held.run])

    def _end(self, task_id: str, outcome: Outcome, guard: str, params: Params) -> End | None:
        # Nobody owns it, and the tasks that its body has published stay its children.
        return self.end_one(
            task_id,
            "state = %s, result = %s, content_type = %s, traceback = %s, ended_as = %s, "
            f"fence = fence + 1, finished_at = {self.now}",
            [*outcome[:4], outcome.ended_as],
            guard,
            params,
        )

    def drop(self, held: Held) -> bool:
        """Delete an error callback that is not needed; tell whether it was held."""
        guard = f"id = %s AND run = %s AND is_held AND {OPEN} AND runs_after = %s"
        params = [held.id, held.run, links.FAILURE]
        return self.connection.execute(f"DELETE FROM cq_task WHERE {guard}", params) == 1

    def previous(self, task_id: str) -> Previous | None:
        """Return a task for which others are held, once whoever ends it now is done; ``None`` if
        there is no such task.
        """
        lock = "FOR UPDATE" if self.dialect.skip_locked else ""
        columns = ", ".join(Previous._fields)
        with self.connection.transaction():
            rows = self.select(columns, "id = %s", [task_id], lock)
        return Previous(*rows[0]) if rows else None

    def members(self, task_ids: Sequence[str]) -> list[str]:
        """Return the unfinished subtasks of tasks, and those that are held for them."""
        kin = f"{marks(task_ids)}"
        rows = self.select(
            "id",
            f"(parent_id IN ({kin}) AND is_subtask AND {LIVE}) "
            f"OR (previous_id IN ({kin}) AND is_held AND {LIVE})",
            [*task_ids, *task_ids],
        )
        return [row[0] for row in rows]

    def stranded_parents(self, age: float, limit: int) -> list[str]:
        """Return tasks that have waited for ``age`` seconds, and wait for nothing."""
        subtasks = (
            f"SELECT 1 FROM cq_task s WHERE s.parent_id = cq_task.id AND s.is_subtask AND s.{LIVE}"
        )
        rows = self.select(
            "id",
            f"waiting_since IS NOT NULL AND {LIVE} AND waiting_since < {self.later} "
            f"AND NOT EXISTS ({subtasks})",
            [-age, limit],
            "LIMIT %s",
        )
        return [row[0] for row in rows]

    def stranded_next(self, age: float, limit: int) -> list[str]:
        """Return tasks that ended more than ``age`` seconds ago, or are gone, for which others are
        held still.
        """
        live = (
            "SELECT 1 FROM cq_task p WHERE p.id = cq_task.previous_id "
            f"AND (p.{LIVE} OR p.finished_at > {self.later} "
            f"OR (p.result_from = p.id AND p.{UNSETTLED}))"
        )
        rows = self.select(
            "DISTINCT previous_id",
            f"previous_id IS NOT NULL AND is_held AND {LIVE} AND created_at < {self.later} "
            f"AND NOT EXISTS ({live})",
            [-age, -age, limit],
            "LIMIT %s",
        )
        return [row[0] for row in rows]


def _subtasks(parent: Parent) -> list[Any]:
    return [parent.id, parent.result_from, parent.id]
