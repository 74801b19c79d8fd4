"""Results as Celery reads them: rows, made into its result metadata."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from celery import states as celery_states
from kombu.serialization import loads

from cq_compat import states
from cq_compat.database import own_connection
from cq_compat.encoding import decode_text
from cq_compat.mirror.table import marks
from cq_transport.envelope import Envelope, from_text

#: Rows read by one statement.
CHUNK = 500

_COLUMNS = ["id", "state", "result", "content_type", "traceback", "children", "finished_at"]
#: Those that Celery has under ``result_extended``, and a row always.
_EXTENDED = ["name", "worker", "retries", "queue", "parent_id", "group_id"]

Meta = dict[str, Any]


class Results:
    """Reads results, committed ones, whatever the caller's transaction has seen.

    Args:
        accept: the content types that may be decoded, as kombu has prepared them.
        extended: whether arguments and stamps belong to a result, as Celery's ``result_extended``.
    """

    def __init__(self, accept: Any, *, extended: bool) -> None:
        self._accept = accept
        self._columns = [*_COLUMNS, *_EXTENDED, *(["message"] if extended else [])]

    def exists(self, task_id: str) -> bool:
        """Tell whether there is a row, be it of a task that waits or of one that is done."""
        return bool(own_connection().fetch("SELECT 1 FROM cq_task WHERE id = %s", [task_id]))

    def read(self, task_ids: Sequence[str], *, ready: bool = False) -> dict[str, Meta]:
        """Return the metadata of known tasks, or of those alone that have an outcome."""
        outcome = f" AND state IN ({marks(_READY)})" if ready else ""
        found: dict[str, Meta] = {}
        for start in range(0, len(task_ids), CHUNK):
            chunk = task_ids[start : start + CHUNK]
            rows = own_connection().fetch(
                f"SELECT {', '.join(self._columns)} FROM cq_task "
                f"WHERE id IN ({marks(chunk)}){outcome}",
                [*chunk, *(_READY if ready else ())],
            )
            found |= {row[0]: self._meta(row) for row in rows}
        return found

    def _meta(self, row: Sequence[Any]) -> Meta:
        found = dict(zip(self._columns, row, strict=True))
        content_type = found.pop("content_type")
        message = found.pop("message", None)
        return {
            "task_id": found.pop("id"),
            "status": _status(found["state"]),
            "is_ignored": found.pop("state") == states.SUCCESS and not content_type,
            "result": decode_text(found.pop("result"), content_type, self._accept),
            "traceback": found.pop("traceback"),
            "children": decode_text(found.pop("children"), content_type, self._accept),
            "date_done": _date(found.pop("finished_at")),
            **found,
            **(self._said(from_text(message)) if message else {}),
        }

    def _said(self, message: Envelope) -> Meta:
        headers = message["headers"]
        meta: Meta = {"args": None, "kwargs": None}
        if message.get("content-type") in self._accept:
            meta["args"], meta["kwargs"] = loads(
                message["body"],
                message.get("content-type"),
                message.get("content-encoding"),
                accept=self._accept,
            )[:2]
        if headers.get("stamped_headers"):
            stamps = headers.get("stamps") or {}
            meta["stamped_headers"] = headers["stamped_headers"]
            meta |= {name: stamps[name] for name in headers["stamped_headers"] if name in stamps}
        return meta


_READY = sorted(celery_states.READY_STATES)


def _status(state: str) -> str:
    # Celery has RECEIVED for its events; by its results such a task is one that waits.
    return states.PENDING if state == states.RECEIVED else state


def _date(value: Any) -> str | None:
    # SQLite has times as text and MySQL without a zone: UTC both.
    if value is None:
        return None
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).isoformat()
