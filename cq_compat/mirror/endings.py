"""Tells of tasks that have ended."""

from __future__ import annotations

from collections.abc import Sequence

from kombu.log import get_logger

from cq_compat.database import Connection
from cq_compat.dialects import Dialect, dialect_of
from cq_compat.signals import task_finished

logger = get_logger(__name__)


def tell_finished(connection: Connection, task_ids: Sequence[str]) -> None:
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
