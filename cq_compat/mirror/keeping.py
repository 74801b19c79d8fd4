"""What keepers read and write: rows that are due, lost, expired or orphaned."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from cq_compat import states
from cq_compat.mirror.claims import Claim
from cq_compat.mirror.publishing import PublishingMirror
from cq_compat.mirror.table import LIVE, NOT_WAITING, OPEN, marks

#: Owners looked at in one pass.
_OWNERS = 100
#: Seconds after the end of a lease in which a last claim may still appear.
GRACE = 60.0


class Route(NamedTuple):
    """A way into the layer, which may have no room."""

    exchange: str
    queue: str
    priority: int


class Wait(NamedTuple):
    """What waits on a way.

    Args:
        longest: seconds since the oldest message was sent that no worker has claimed.
        taken: seconds since the youngest was sent that a worker has, ``None`` if none has any.
    """

    route: Route
    longest: float
    taken: float | None


class Due(NamedTuple):
    """A row that is to be sent."""

    id: str
    name: str
    run: int
    exchange: str
    queue: str
    priority: int
    message: str
    retries: int
    eta: Any
    expires_at: Any

    @property
    def route(self) -> Route:
        """The way of its message."""
        return Route(self.exchange, self.queue, self.priority)


class Orphan(NamedTuple):
    """A row whose owner is dead."""

    id: str
    name: str
    queue: str
    run: int
    fence: int
    state: str
    acks_late: bool
    deaths: int
    message: str
    worker: str

    @property
    def has_begun(self) -> bool:
        """Whether its body had begun."""
        return bool(self.state != states.RECEIVED)

    def may_run_again(self, max_deaths: int) -> bool:
        """Tell whether it may run elsewhere: it had not begun, or it is acknowledged late and has
        not died too often.
        """
        survives: bool = self.acks_late and self.deaths + 1 < max_deaths
        return survives or not self.has_begun


class KeepingMirror(PublishingMirror):
    """The verbs of keepers."""

    def due_in(self, broker: str, full: Collection[Route] = ()) -> float | None:
        """Return the seconds until the first row is to be sent that takes none of the ways that
        are full, ``None`` if there is no such row.
        """
        unsent, params = _unsent(broker, full)
        seconds = self.dialect.seconds.format(since=self.now, to="due_at")
        rows = self.select(
            seconds, f"{unsent} AND due_at IS NOT NULL", params, "ORDER BY due_at LIMIT 1"
        )
        return float(rows[0][0]) if rows else None

    def due(self, broker: str, limit: int, full: Collection[Route] = ()) -> list[Due]:
        """Return rows that are to be sent now, locked until the end of the transaction."""
        unsent, params = _unsent(broker, full)
        rows = self.select(
            ", ".join(Due._fields),
            f"{unsent} AND due_at <= {self.now}",
            [*params, limit],
            f"ORDER BY due_at LIMIT %s {self.dialect.skip_locked}",
        )
        return [Due(*row) for row in rows]

    def begin_epoch(self, broker: str, epoch: str) -> bool:
        """Note from when on a layer keeps what is sent; tell whether its epoch was another one.

        Of the first epoch that is noted nobody knows when it began: what was sent before may be
        there as well.
        """
        since = f"CASE WHEN epoch = '' THEN NULL ELSE {self.now} END"
        changed = self.connection.execute(  # in this order: MySQL reads what it has just set
            f"UPDATE cq_layer SET epoch_since = {since}, epoch = %s "
            "WHERE broker = %s AND epoch <> %s",
            [epoch, broker, epoch],
        )
        return changed == 1

    def unsend_lost(self, broker: str) -> int:
        """Note that the layer has lost what was sent before its epoch; return how many rows are to
        be sent again.

        To be asked again and again: a publisher may note only then that it had sent a message.
        """
        since = "(SELECT epoch_since FROM cq_layer WHERE broker = %s)"
        # What was sent before was made before, of which there is an index.
        guard = f"broker = %s AND created_at <= {since} AND sent_at <= {since}"
        return self._unsend(guard, [broker] * 3)

    def unsend_route(self, broker: str, route: Route, age: float) -> int:
        """Note that the layer has lost what was sent on a way more than ``age`` seconds ago."""
        return self._unsend(
            "broker = %s AND exchange = %s AND queue = %s AND priority = %s "
            f"AND sent_at < {self.later}",
            [broker, *route, -age],
        )

    def waits(self, broker: str, age: float) -> list[Wait]:
        """Return the ways on which messages wait that were sent more than ``age`` seconds ago."""
        free = "MIN(CASE WHEN owner_id IS NULL THEN sent_at END)"
        taken = "MAX(CASE WHEN owner_id IS NULL THEN NULL ELSE sent_at END)"
        ago = [self.dialect.seconds.format(since=time, to=self.now) for time in (free, taken)]
        way = ", ".join(Route._fields)
        rows = self.select(
            f"{way}, {', '.join(ago)}",
            f"broker = %s AND sent_at IS NOT NULL AND {LIVE}",
            [broker, -age],
            f"GROUP BY {way} HAVING {free} < {self.later}",
        )
        return [
            Wait(Route(*row[:3]), float(row[3]), None if row[4] is None else float(row[4]))
            for row in rows
        ]

    def dead_workers(self) -> list[Any]:
        """Return the ids of workers whose lease is over, and whose rows were not all seen to."""
        rows = self.connection.fetch(
            f"SELECT id FROM cq_worker WHERE stopped_at IS NULL AND lease_until < {self.now} "
            "LIMIT %s",
            [_OWNERS],
        )
        return [row[0] for row in rows]

    def orphans(self, limit: int) -> list[Orphan]:
        """Return rows whose owner's lease is over, locked until the end of the transaction."""
        ids = self.dead_workers()
        if not ids:
            return []
        rows = self.select(
            ", ".join(Orphan._fields),
            f"owner_id IN ({marks(ids)}) AND {LIVE}",
            [*ids, limit],
            f"LIMIT %s {self.dialect.skip_locked}",
        )
        if not rows:
            self._retire(ids)
        return [Orphan(*row) for row in rows]

    def release(self, orphan: Orphan) -> bool:
        """Let a dead worker's task run elsewhere; a body that had begun counts as a death."""
        return self.update_one(
            f"state = '{states.PENDING}', owner_id = NULL, fence = fence + 1, sent_at = NULL, "
            f"due_at = {self.now}, deaths = deaths + %s",
            [int(orphan.has_begun)],
            f"id = %s AND fence = %s AND {OPEN}",
            [orphan.id, orphan.fence],
        )

    def take_over(self, orphan: Orphan, owner: UUID) -> Claim | None:
        """Claim a dead worker's task in order to end it; ``None`` if it has ended."""
        held = self.update_one(
            "fence = fence + 1, owner_id = %s, deaths = deaths + 1",
            [self.uuid(owner)],
            f"id = %s AND fence = %s AND {OPEN}",
            [orphan.id, orphan.fence],
        )
        return Claim(orphan.id, orphan.run, orphan.fence + 1, owner.hex) if held else None

    def expired(self, limit: int) -> list[str]:
        """Return tasks that nobody has begun in time."""
        rows = self.select(
            "id",
            f"owner_id IS NULL AND {LIVE} AND expires_at < {self.now} AND message <> '' "
            f"AND {NOT_WAITING}",
            [limit],
            "LIMIT %s",
        )
        return [row[0] for row in rows]

    def _unsend(self, guard: str, params: Sequence[Any]) -> int:
        return self.update(
            f"sent_at = NULL, due_at = {self.now}",
            [],
            f"{guard} AND sent_at IS NOT NULL AND owner_id IS NULL AND {LIVE}",
            params,
        )

    def _retire(self, worker_ids: Sequence[Any]) -> None:
        # Not as long as it has rows, which somebody else may have locked, nor while a claim that it
        # made at the last moment may still be under way: nobody looks at it afterwards.
        self.connection.execute(
            f"UPDATE cq_worker SET stopped_at = {self.now} WHERE id IN ({marks(worker_ids)}) "
            f"AND lease_until < {self.later} AND NOT EXISTS (SELECT 1 FROM cq_task t "
            f"WHERE t.owner_id = cq_worker.id AND t.{LIVE})",
            [*worker_ids, -GRACE],
        )


def _unsent(broker: str, full: Collection[Route]) -> tuple[str, list[Any]]:
    ways = "".join(" AND NOT (exchange = %s AND queue = %s AND priority = %s)" for _ in full)
    guard = f"broker = %s AND sent_at IS NULL AND owner_id IS NULL AND {LIVE}{ways}"
    return guard, [broker, *(part for route in full for part in route)]
