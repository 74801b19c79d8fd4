"""Statements on the table of tasks, in the words of the connection's database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from cq_compat import states
from cq_compat.database import Connection, Row
from cq_compat.dialects import dialect_of, is_duplicate, stored_uuid

#: Not finished: what keepers look for, in the words of the indexes of what is not finished.
LIVE = "finished_at IS NULL"
#: The same for rows that are named by their ids. Without statistics PostgreSQL would take the index
#: of what is not finished for a short one, and read all of a backlog to find eight rows.
OPEN = "CASE WHEN finished_at IS NULL THEN 1 ELSE 0 END = 1"
#: Without an outcome for good. A body that raises ``Ignore`` has finished its row so, and leaves
#: the outcome to others: to those that ``replace()`` put in its place, or to whoever stores one.
UNSETTLED = f"state NOT IN ({', '.join(repr(state) for state in sorted(states.SETTLED))})"
#: Not waiting for subtasks: the body of such a task has ended, and does not run again.
NOT_WAITING = f"state <> '{states.WAITING}'"
#: Neither that, nor held until another one has ended.
READY = f"{NOT_WAITING} AND NOT is_held"
# A table within the table: MySQL changes none of which a condition reads another row.
_SUBTASK = (
    "EXISTS (SELECT 1 FROM (SELECT s.id FROM cq_task s WHERE s.parent_id = %s AND s.is_subtask"
    "{} LIMIT 1) kin)"
)
#: A task, whose id is a parameter, has begun subtasks.
HAS_SUBTASKS = _SUBTASK.format("")
#: All of them have ended. The youngest is the one that most probably has not.
ALL_ENDED = f"NOT {_SUBTASK.format(' AND s.finished_at IS NULL ORDER BY s.created_at DESC')}"
#: Others are held until a task, whose id is a parameter, has ended.
HAS_NEXT = (
    "EXISTS (SELECT 1 FROM (SELECT n.id FROM cq_task n WHERE n.previous_id = %s AND n.is_held "
    "LIMIT 1) held)"
)
Params = Sequence[Any]
#: Parameters of a statement at most: some builds of SQLite take 999.
MOST_PARAMETERS = 999
#: So many rows are named one by one: there are few enough statements to plan each of them.
FEW = 16


class TaskTable:
    """What the verbs have in common.

    Args:
        connection: where the statements are run.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = dialect_of(connection.vendor)
        self.now = self.dialect.now
        self.later = self.dialect.later
        #: Whether the worker that is the last parameter has a valid lease.
        self.alive = (
            f"EXISTS (SELECT 1 FROM cq_worker w WHERE w.id = %s AND w.lease_until > {self.now})"
        )

    def insert(self, values: dict[str, Any], **expressions: str) -> bool:
        """Insert a row; tell whether there was none of that id.

        Args:
            values: the values of columns.
            expressions: those of others, in SQL.
        """
        ignore = self.dialect.ignore.format(key="id") if self.dialect.counts_ignored else ""
        statement = _insert(tuple(values), tuple(expressions.items()), ignore)
        try:
            return self.connection.execute(statement, list(values.values())) == 1
        except IntegrityError as exc:
            if not is_duplicate(exc):
                raise
            return False

    def insert_all(
        self,
        rows: Sequence[dict[str, Any]],
        delays: Sequence[float | None],
        expressions: dict[str, str],
    ) -> None:
        """Insert rows with the same columns.

        Args:
            rows: the values of columns.
            delays: the seconds until each of them is due; ``None`` for never.
            expressions: what is the same in each, in SQL.

        Raises:
            django.db.IntegrityError: there is a row of one of the ids.
        """
        names = [*rows[0], *expressions, "due_at"]
        into = f"INSERT INTO cq_task ({', '.join(names)})"
        if self.dialect.json_rows:
            due_at = self.later.replace("%s", "value::float8")
            found = ", ".join([*rows[0], *expressions.values(), due_at])
            statement = f"{into} SELECT {found} FROM {self.dialect.json_rows}"
            self.connection.execute(statement, [json.dumps(rows, default=str), json.dumps(delays)])
            return
        most = MOST_PARAMETERS // len(rows[0])
        for begin in range(0, len(rows), most):
            part = slice(begin, begin + most)
            self._insert_values(into, rows[part], delays[part], expressions)

    def _insert_values(
        self,
        into: str,
        rows: Sequence[dict[str, Any]],
        delays: Sequence[float | None],
        expressions: dict[str, str],
    ) -> None:
        fixed = [*["%s"] * len(rows[0]), *expressions.values()]
        values = ", ".join(f"({', '.join([*fixed, self.due_after(delay)])})" for delay in delays)
        params = [value for row in rows for value in row.values()]
        self.connection.execute(f"{into} VALUES {values}", params)

    def update(
        self,
        sets: str,
        values: Params,
        guard: str,
        params: Params,
        *,
        once: bool = False,
        row: str | None = None,
    ) -> int:
        """Change the rows that meet the guard and return how many they are.

        Args:
            once: whether the guard fails when the statement is run once more, so that a lost answer
                is the caller's to deal with.
            row: the id of the only one that may meet it, if several threads write about theirs.
        """
        statement = f"UPDATE cq_task SET {sets} WHERE {guard}"
        return self.connection.execute(statement, [*values, *params], once=once, row=row)

    def update_one(
        self,
        sets: str,
        values: Params,
        guard: str,
        params: Params,
        *,
        once: bool = False,
        row: str | None = None,
    ) -> bool:
        """Change one row; tell whether the guard held."""
        return self.update(sets, values, guard, params, once=once, row=row) == 1

    def update_returning(
        self,
        sets: str,
        values: Params,
        guard: str,
        params: Params,
        columns: str,
        *,
        once: bool = False,
        row: str | None = None,
    ) -> list[Row]:
        """Change the rows that meet the guard and return what they have become."""
        if self.dialect.has_returning:
            statement = f"UPDATE cq_task SET {sets} WHERE {guard} RETURNING {columns}"
            return self.connection.fetch(statement, [*values, *params], once=once, row=row)
        with self.connection.transaction():
            found = self.select("id", guard, params, f"{self.dialect.skip_locked}")
            if not found:
                return []
            ids = [row[0] for row in found]
            chosen = f"id IN ({marks(ids)})"
            self.update(sets, values, chosen, ids)
            return self.select(columns, chosen, ids)

    def select(self, columns: str, guard: str, params: Params, end: str = "") -> list[Row]:
        """Return the rows that meet the guard."""
        statement = f"SELECT {columns} FROM cq_task WHERE {guard} {end}"
        return self.connection.fetch(statement, params)

    def pairs(self, values: Sequence[tuple[str, int]]) -> tuple[str, list[Any]]:
        """Return the condition that a row is one of ``values``, pairs of id and run, with its
        parameters.
        """
        if len(values) > FEW and self.dialect.json_pairs:
            wanted = json.dumps([{"id": task_id, "run": run} for task_id, run in values])
            return self.dialect.json_pairs, [wanted, wanted]
        pairs = self.dialect.pairs.format(", ".join(["(%s, %s)"] * len(values)))
        # The ids stand in it alone, too: for them the index is searched.
        condition = f"id IN ({marks(values)}) AND (id, run) IN {pairs}"
        return condition, [*(task_id for task_id, _ in values), *chain.from_iterable(values)]

    def due_after(self, seconds: float | None) -> str:
        """Return the time in so many seconds, without a parameter; ``None`` is never."""
        return "NULL" if seconds is None else self.later.replace("%s", f"{seconds:.6f}")

    def uuid(self, value: UUID | str) -> Any:
        """Return an id as the database has it."""
        found = value if isinstance(value, UUID) else UUID(value)
        return stored_uuid(self.connection.vendor, found)


@lru_cache(maxsize=256)
def _insert(names: tuple[str, ...], expressions: tuple[tuple[str, str], ...], ignore: str) -> str:
    columns = ", ".join([*names, *(name for name, _ in expressions)])
    values = ", ".join([*["%s"] * len(names), *(value for _, value in expressions)])
    return f"INSERT INTO cq_task ({columns}) VALUES ({values}) {ignore}"


def marks(values: Sequence[Any]) -> str:
    """Return the placeholders of a list."""
    return ", ".join(["%s"] * len(values))
