"""What publishers write, and operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cq_compat import states
from cq_compat.links import NO_LINK, Link
from cq_compat.mirror.claims import Claim
from cq_compat.mirror.endings import EndingTable
from cq_compat.mirror.outcomes import End, Outcome
from cq_compat.mirror.table import OPEN, READY, UNSETTLED, marks
from cq_compat.records import Record, nesting_of

#: What a new row begins with, in SQL: what is the same in every row need not be sent with each.
_NEW = {
    **dict.fromkeys(("run", "fence", "deaths"), "0"),
    **dict.fromkeys(("acks_late", "is_subtask", "is_held", "subtasks_may_fail"), "FALSE"),
    **dict.fromkeys(("worker", "content_type"), "''"),
}
_LINKED = {name: value for name, value in _NEW.items() if name not in ("is_subtask", "is_held")}
_EMPTY: dict[str, Any] = {}
_UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(("name", "args", "kwargs", "broker", "exchange", "queue", "message"), ""),
    "priority": 0,
    "retries": 0,
}
#: What a task gets from its run, and loses when it runs from the beginning.
_OUTCOME = (
    *("owner_id", "eta", "expires_at", "sent_at", "received_at", "started_at", "finished_at"),
    *("ended_as", "result", "traceback", "children", "result_from", "waiting_since"),
)

#: Not on its way to a body, which would not start from another state: a task that has published
#: itself to the ledger's broker may store RETRY when its next attempt has been claimed.
_NOT_CLAIMED = f" AND (owner_id IS NULL OR state <> '{states.RECEIVED}')"


class PublishingMirror(EndingTable):
    """The verbs of whoever has no claim."""

    def record(self, record: Record, *, sent: bool = False) -> bool:
        """Make a row; tell whether there was none of that id."""
        link = record.link
        values = {**self._columns(record), **(_EMPTY if link is NO_LINK else _links(link))}
        return self.insert(
            {name: value for name, value in values.items() if value is not None},
            **(_NEW if link is NO_LINK else _LINKED),
            state=f"'{states.PENDING}'",
            created_at=self.now,
            sent_at=self.now if sent and link.previous_id is None else "NULL",
            due_at=self.due_after(_delay(record)),
        )

    def record_all(self, records: Sequence[Record]) -> None:
        """Make rows, as many by one statement as the database takes.

        Raises:
            django.db.IntegrityError: there is a row of one of the ids.
        """
        self.insert_all(
            [{**self._columns(record), **_links(record.link)} for record in records],
            [_delay(record) for record in records],
            {**_LINKED, "state": f"'{states.PENDING}'", "created_at": self.now},
        )

    def adopt(self, record: Record) -> None:
        """Make a row of a message that has come from somebody without the ledger, or complete the
        one that an observer has made.
        """
        if self.record(record, sent=True):
            return
        columns = self._columns(record)
        sets = "".join(f"{name} = %s, " for name in columns)
        self.update_one(
            f"{sets}run = 0, sent_at = {self.now}, due_at = {self.later}",
            [*columns.values(), record.delay],
            f"id = %s AND message = '' AND owner_id IS NULL AND {OPEN}",
            [record.id],
        )

    def rerun(self, record: Record, claim: Claim, state: str) -> int | None:
        """Let a running task run once more with a new message; return the new run, ``None`` if
        the claim does not hold.
        """
        columns = self._columns(record)
        task_id = columns.pop("id")
        sets = "".join(f"{name} = %s, " for name in columns)
        held = self.update_one(
            f"{sets}state = %s, run = run + 1, owner_id = NULL, sent_at = NULL, due_at = "
            f"{self.later}",
            [*columns.values(), state, record.delay],
            f"id = %s AND fence = %s AND run = %s AND {OPEN}",
            [task_id, claim.fence, claim.run],
        )
        return claim.run + 1 if held else None

    def has_rerun(self, claim: Claim) -> bool:
        """Tell whether the task has published itself anew under a claim, and nobody has it yet."""
        rerun = [claim.task_id, claim.fence, claim.run + 1]
        return bool(self.select("1", f"id = %s AND fence = %s AND run = %s AND {OPEN}", rerun))

    def republish(self, record: Record) -> int | None:
        """Let a task run by another's message: the last of those that ``replace()`` put in a task's
        place has its id, as has a task that was failed before it was published. Return the new
        run, ``None`` if the row waits for no such message.
        """
        waits = f"({UNSETTLED} OR message = '')"
        found = self.select("run, message", f"id = %s AND {waits}", [record.id])
        if not found or (found[0][1] and nesting_of(found[0][1]) >= record.replaced):
            return None
        columns = {**dict.fromkeys(_OUTCOME), **self._columns(record)}
        sets = "".join(f"{name} = %s, " for name in columns)
        changed = self.update_one(
            f"{sets}state = '{states.PENDING}', run = run + 1, fence = fence + 1, due_at = "
            f"{self.later}",
            [*columns.values(), record.delay],
            f"id = %s AND run = %s AND {waits}",
            [record.id, found[0][0]],
        )
        return int(found[0][0]) + 1 if changed else None

    def rejoin(self, record: Record) -> int | None:
        """Let a task whose body runs by another broker go on by its next message; return the new
        run, ``None`` if the task has ended or the message is not of a later attempt.
        """
        columns = {**dict.fromkeys(_OUTCOME), **self._columns(record)}
        sets = "".join(f"{name} = %s, " for name in columns)
        rows = self.update_returning(
            f"{sets}state = '{states.RETRY}', run = run + 1, fence = fence + 1, due_at = "
            f"{self.later}",
            [*columns.values(), record.delay],
            f"id = %s AND {OPEN} AND retries < %s",
            [record.id, record.retries],
            "run",
        )
        return int(rows[0][0]) if rows else None

    def mark_sent(self, sent: Sequence[tuple[str, int]], ago: float = 0.0) -> int:
        """Note that messages, by id and run, were given to the layer; return how many rows
        changed. Those that a worker has claimed meanwhile need no note.

        Args:
            ago: seconds since the sending began. What the layer has lost since then is found by
                this time, and what a worker has claimed since then, and given up, is not noted.
        """
        chosen, named = self.pairs(sent)
        return self.update(
            f"sent_at = {self.later}",
            [-ago],
            f"{chosen} AND sent_at IS NULL AND owner_id IS NULL AND {OPEN} "
            f"AND (received_at IS NULL OR received_at < {self.later})",
            [*named, -ago],
        )

    def store(self, task_id: str, outcome: Outcome) -> bool:
        """Store the state of a task by its id alone; tell whether its outcome was not settled."""
        return (
            self._store(task_id, outcome)
            or self._store_new(task_id, outcome)
            or self._store(task_id, outcome)  # an observer may have made the row meanwhile
        )

    def _store(self, task_id: str, outcome: Outcome) -> bool:
        sets = "state = %s, result = %s, content_type = %s, traceback = %s, children = %s, "
        guard = f"id = %s AND {UNSETTLED}"
        if outcome.state not in states.FINISHED:
            sets += "ended_as = NULL, finished_at = NULL"
            return self.update_one(sets, outcome, guard + _NOT_CLAIMED, [task_id])
        sets += f"ended_as = %s, finished_at = {self.now}, owner_id = NULL"
        ended = self.end_one(task_id, sets, [*outcome, outcome.ended_as], guard, [task_id])
        return ended is not None

    def _store_new(self, task_id: str, outcome: Outcome) -> bool:
        ends = outcome.state in states.FINISHED
        ended_as = outcome.ended_as if ends else None
        columns = {**outcome._asdict(), "ended_as": ended_as}
        new = {name: value for name, value in _NEW.items() if name not in columns}
        values = {**_UNKNOWN, "id": task_id, **columns}
        finished = self.now if ends else "NULL"
        stored = self.insert(values, **new, created_at=self.now, finished_at=finished)
        if stored and ends:
            self.tell([End(task_id, outcome.state)])
        return stored

    def watch(self, task_ids: Sequence[str], watcher: str) -> int:
        """Note who waits for the ends of tasks, in place of whoever did before; return how many of
        them have not ended.
        """
        guard = f"id IN ({marks(task_ids)}) AND {OPEN}"
        return self.update("watcher = %s", [watcher], guard, task_ids)

    def revoke(self, task_ids: Sequence[str], outcome: Outcome) -> list[str]:
        """End tasks; their messages, starts and outcomes are refused from now on. Return the ids
        of those that had not ended.
        """
        ends = self.end_many(
            "state = %s, result = %s, content_type = %s, ended_as = %s, owner_id = NULL, "
            f"fence = fence + 1, finished_at = {self.now}",
            [*outcome[:3], outcome.ended_as],
            f"id IN ({marks(task_ids)}) AND {OPEN}",
            task_ids,
        )
        return [end.task_id for end in ends]

    def requeue(self, task_ids: Sequence[str]) -> list[str]:
        """Let finished tasks run once more from the beginning, at once and without an end to their
        waiting, but after the tasks that they were held for; return the ids of those that will.
        """
        nulls = "".join(f"{name} = NULL, " for name in _OUTCOME)
        rows = self.update_returning(
            f"{nulls}state = '{states.PENDING}', run = run + 1, fence = fence + 1, deaths = 0, "
            f"retries = 0, due_at = CASE WHEN is_held THEN NULL ELSE {self.now} END",
            [],
            f"id IN ({marks(task_ids)}) AND NOT ({OPEN}) AND message <> ''",
            task_ids,
            "id",
        )
        return [row[0] for row in rows]

    def resend(self, task_ids: Sequence[str]) -> list[str]:
        """Let the messages of waiting tasks be sent again; return the ids of those that will."""
        rows = self.update_returning(
            f"sent_at = NULL, due_at = {self.now}",
            [],
            f"id IN ({marks(task_ids)}) AND sent_at IS NOT NULL AND owner_id IS NULL AND {OPEN} "
            "AND message <> ''",
            task_ids,
            "id",
        )
        return [row[0] for row in rows]

    def move(self, task_id: str, run: int, broker: str) -> bool:
        """Leave a task that no worker has to the observers of another broker; tell whether it was
        still of that run.
        """
        return self.update_one(
            "run = run + 1, fence = fence + 1, message = '', broker = %s, sent_at = NULL, "
            "due_at = NULL",
            [broker],
            f"id = %s AND run = %s AND owner_id IS NULL AND {OPEN} AND message <> '' AND {READY}",
            [task_id, run],
        )

    def forget(self, task_ids: Sequence[str]) -> list[str]:
        """Delete finished tasks with their results and logs; return the ids of those that there
        were.
        """
        guard = f"id IN ({marks(task_ids)}) AND NOT ({OPEN})"
        with self.connection.transaction():
            found = self.select("id", guard, task_ids, self.dialect.skip_locked)
            ids = [row[0] for row in found]
            if ids:
                for table, key in (("cq_tasklog", "task_id"), ("cq_task", "id")):
                    statement = f"DELETE FROM {table} WHERE {key} IN ({marks(ids)})"
                    self.connection.execute(statement, ids)
        return ids

    def _columns(self, record: Record) -> dict[str, Any]:
        adapt = self.connection.adapt_time
        return {
            "id": record.id,
            "name": record.name,
            "args": record.args,
            "kwargs": record.kwargs,
            "broker": record.broker,
            "exchange": record.exchange,
            "queue": record.queue,
            "priority": record.priority,
            "message": record.message,
            "eta": adapt(record.eta),
            "expires_at": adapt(record.expires_at),
            "retries": record.retries,
            "parent_id": record.parent_id,
            "root_id": record.root_id,
            "group_id": record.group_id,
            "periodic_task_name": record.periodic_task_name,
        }


def _delay(record: Record) -> float | None:
    return record.delay if record.link.previous_id is None else None


def _links(link: Link) -> dict[str, Any]:
    found = {
        "is_subtask": link.subtask_of is not None,
        "is_held": link.previous_id is not None,
        "previous_id": link.previous_id,
        "runs_after": link.runs_after,
    }
    # Celery takes the task whose body publishes for the parent.
    return found if link.subtask_of is None else {**found, "parent_id": link.subtask_of}
