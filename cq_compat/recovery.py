"""Fills a layer again that has lost its messages."""

from __future__ import annotations

from cq_compat.database import own_connection
from cq_compat.dialects import dialect_of
from cq_compat.mirror import PublishingMirror
from cq_compat.walk import walk


def recover(broker: str = "", queue: str = "", *, dry_run: bool = False) -> int:
    """Have every message sent again that was sent before now and that no worker has, of one broker
    and queue if they are given; return how many.

    Workers' keepers send them. A message that was not lost is thereby in the layer twice, which
    does no harm: only one copy can be claimed.
    """
    connection = own_connection()
    mirror = PublishingMirror(connection)
    guard = "finished_at IS NULL AND owner_id IS NULL AND message <> '' AND sent_at < "
    moment, params = _now()
    wanted = {column: value for column, value in (("broker", broker), ("queue", queue)) if value}
    guard += moment + "".join(f" AND {column} = %s" for column in wanted)
    found = 0
    for rows in walk(connection, "created_at", "run", guard, [*params, *wanted.values()]):
        ids = [row[0] for row in rows]
        found += len(ids if dry_run else mirror.resend(ids))
    return found


def _now() -> tuple[str, list[object]]:
    # Read once: what is sent while the walk goes on is not to be sent again.
    connection = own_connection()
    dialect = dialect_of(connection.vendor)
    [(now,)] = connection.fetch(f"SELECT {dialect.now}", [])
    return dialect.moment, [now]
