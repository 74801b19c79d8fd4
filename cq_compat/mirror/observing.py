"""What is written of tasks that run on another broker.

Such a row has no message, no owner and no time at which it is due, so no keeper sends or ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from time import monotonic
from typing import Any

from celery.utils.time import maybe_iso8601

from cq_compat import states
from cq_compat.database import OwnConnection
from cq_compat.encoding import storable
from cq_compat.mirror.table import OPEN, UNSETTLED, TaskTable
from cq_compat.sightings import BEYOND, RANKS, Sighting

_RANK = " ".join(f"WHEN '{state}' THEN {rank}" for state, rank in RANKS.items())
#: How far a row's attempt has come.
RANK = f"CASE state {_RANK} ELSE {BEYOND} END"
_TEXTS = ("name", "args", "kwargs", "broker", "exchange", "queue", "worker")
_LINKS = ("parent_id", "root_id", "group_id", "periodic_task_name", "eta", "expires_at")
_CHARACTERS = 255


class ObservingMirror(TaskTable):
    """The verbs of an observer; none changes a row that somebody has claimed or ended, nor the
    ledger's, unless a worker without the ledger has taken its message.
    """

    connection: OwnConnection

    def observe(self, seen: Sequence[Sighting]) -> None:
        """Write sightings, one of each task, in the order of their ids."""
        rest = [one for one in seen if not one.is_publish]
        published = [one for one in seen if one.is_publish]
        if not self._insert(published):
            rest = list(seen)
        if self._advance(rest) < len(rest):
            if not self._insert([one for one in rest if not one.is_publish]):
                self._advance(rest)  # somebody else has made the row meanwhile
            self._fill(rest)

    def _insert(self, seen: Sequence[Sighting]) -> bool:
        """Make rows; tell whether there were none of these ids."""
        values = [self._columns(one) for one in seen]
        if not values:
            return True
        times = ("created_at", "received_at", "started_at", "finished_at")
        marks = ", ".join([*["%s"] * len(values[0]), *[self.later] * len(times)])
        made = self.connection.execute_many(
            f"INSERT INTO cq_task ({', '.join([*values[0], *times])}) VALUES ({marks}) "
            f"{self.dialect.ignore.format(key='id')}",
            [
                [*found.values(), _ago(one.at), *_times(one)]
                for one, found in zip(seen, values, strict=True)
            ],
        )
        return made == len(seen) and self.dialect.counts_ignored

    def _advance(self, seen: Sequence[Sighting]) -> int:
        return self.connection.execute_many(
            "UPDATE cq_task SET state = %s, retries = %s, result = %s, content_type = %s, "
            "traceback = %s, ended_as = %s, worker = COALESCE(NULLIF(%s, ''), worker), "
            "broker = COALESCE(NULLIF(%s, ''), broker), "
            f"received_at = COALESCE({self.later}, received_at), "
            f"started_at = COALESCE({self.later}, started_at), finished_at = {self.later}, "
            "message = '', sent_at = NULL, due_at = NULL "
            "WHERE id = %s AND (message = '' OR run = %s) AND owner_id IS NULL AND "
            f"((%s = 1 AND {UNSETTLED}) OR "
            f"({OPEN} AND (retries < %s OR (retries = %s AND {RANK} <= %s))))",
            [[*_changes(one), one.id, one.run, *_order(one)] for one in seen],
        )

    def _fill(self, seen: Sequence[Sighting]) -> None:
        # What came late, or was stored by a result backend that knows no more than the id.
        texts = ", ".join(f"{name} = COALESCE(NULLIF({name}, ''), %s)" for name in _TEXTS)
        links = ", ".join(f"{name} = COALESCE({name}, %s)" for name in _LINKS)
        columns = [self._columns(one) for one in seen]
        self.connection.execute_many(
            f"UPDATE cq_task SET {texts}, {links}, "
            f"received_at = COALESCE(received_at, {self.later}), "
            f"started_at = COALESCE(started_at, {self.later}) "
            "WHERE id = %s AND owner_id IS NULL AND message = '' AND (name = '' OR broker = '' OR "
            "worker = '' OR received_at IS NULL OR started_at IS NULL)",
            [
                [*(found[name] for name in (*_TEXTS, *_LINKS)), *_times(one)[:2], one.id]
                for one, found in zip(seen, columns, strict=True)
            ],
        )

    def _columns(self, seen: Sighting) -> dict[str, Any]:
        facts, route = seen.facts, seen.route
        adapt = self.connection.adapt_time
        return {
            "id": seen.id,
            "name": storable(facts.get("task", ""))[:_CHARACTERS],
            "state": seen.state,
            "args": storable(facts.get("argsrepr", "")),
            "kwargs": storable(facts.get("kwargsrepr", "")),
            "broker": route.broker[:_CHARACTERS],
            "exchange": route.exchange[:_CHARACTERS],
            "queue": route.queue[:_CHARACTERS],
            "priority": route.priority,
            "message": "",
            "eta": adapt(_time(facts.get("eta"))),
            "expires_at": adapt(_time(facts.get("expires"))),
            "retries": seen.retries,
            "parent_id": facts.get("parent_id"),
            "root_id": facts.get("root_id"),
            "group_id": facts.get("group"),
            "periodic_task_name": facts.get("periodic_task_name"),
            "run": seen.run or 0,
            "fence": 0,
            "acks_late": False,
            "deaths": 0,
            **dict.fromkeys(("is_subtask", "is_held", "subtasks_may_fail"), False),
            "worker": seen.worker[:_CHARACTERS],
            "result": seen.outcome.result,
            "content_type": seen.outcome.content_type,
            "traceback": seen.outcome.traceback,
            "ended_as": _ended_as(seen),
        }


def _changes(seen: Sighting) -> list[Any]:
    where = (seen.worker[:_CHARACTERS], seen.route.broker[:_CHARACTERS])
    outcome = (*seen.outcome[1:4], _ended_as(seen))
    return [seen.state, seen.retries, *outcome, *where, *_times(seen)]


def _order(seen: Sighting) -> list[Any]:
    return [int(seen.is_decisive), seen.retries, seen.retries, seen.rank]


def _ended_as(seen: Sighting) -> str | None:
    return seen.outcome.ended_as if seen.state in states.FINISHED else None


def _times(seen: Sighting) -> tuple[float | None, float | None, float | None]:
    """Return when it was received, started and finished, in seconds from now."""
    finished = _ago(seen.at) if seen.is_finished else None
    return _ago(seen.received_at), _ago(seen.started_at), finished


def _ago(at: float | None) -> float | None:
    return None if at is None else at - monotonic()


def _time(value: Any) -> datetime | None:
    try:
        found: datetime = maybe_iso8601(value)
    except (TypeError, ValueError):
        return None  # the worker will say what it makes of it
    return found if found is None or found.tzinfo else found.replace(tzinfo=timezone.utc)
