"""What keepers read and write: rows that are due, lost, expired or orphaned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from cq_compat import states
from cq_compat.mirror.claims import Claim
from cq_compat.mirror.publishing import PublishingMirror
from cq_compat.mirror.table import LIVE, OPEN, marks

#: Owners looked at in one pass.
_OWNERS = 100
#: Seconds after the end of a lease in which a last claim may still appear.
GRACE = 60.0


class Due(NamedTuple):
    """A row that is to be sent."""

    id: str
    run: int
    exchange: str
    queue: str
    priority: int
    message: str
    retries: int
    eta: Any
    expires_at: Any


class Orphan(NamedTuple):
    """A row whose owner is dead."""

    id: str
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

    def due(self, broker: str, limit: int) -> list[Due]:
        """Return rows that are to be sent now, locked until the end of the transaction."""
        rows = self.select(
            ", ".join(Due._fields),
            f"broker = %s AND sent_at IS NULL AND owner_id IS NULL AND {LIVE} "
            f"AND due_at <= {self.now}",
            [broker, limit],
            f"ORDER BY due_at LIMIT %s {self.dialect.skip_locked}",
        )
        return [Due(*row) for row in rows]

    def unsend(self, broker: str) -> int:
        """Note that the layer has lost what was sent; return how many rows are to be sent again."""
        return self._unsend("broker = %s", [broker])

    def unsend_queue(self, broker: str, queue: str, age: float) -> int:
        """Note that a queue has lost what was sent to it more than ``age`` seconds ago."""
        return self._unsend(
            f"broker = %s AND queue = %s AND exchange = '' AND sent_at < {self.later}",
            [broker, queue, -age],
        )

    def waiting_queues(self, broker: str, age: float) -> list[str]:
        """Return the queues that should hold messages sent more than ``age`` seconds ago."""
        rows = self.select(
            "DISTINCT queue",
            f"broker = %s AND exchange = '' AND owner_id IS NULL AND sent_at < {self.later} "
            f"AND {LIVE}",
            [broker, -age],
        )
        return [row[0] for row in rows]

    def orphans(self, limit: int) -> list[Orphan]:
        """Return rows whose owner's lease is over, locked until the end of the transaction."""
        dead = self.connection.fetch(
            f"SELECT id FROM cq_worker WHERE stopped_at IS NULL AND lease_until < {self.now} "
            "LIMIT %s",
            [_OWNERS],
        )
        if not dead:
            return []
        ids = [row[0] for row in dead]
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
            f"owner_id IS NULL AND {LIVE} AND expires_at < {self.now} AND message <> ''",
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
