"""What workers write: claim, start, progress, finish, hand back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from cq_compat import states
from cq_compat.mirror.claims import Claim
from cq_compat.mirror.outcomes import Outcome
from cq_compat.mirror.table import OPEN, TaskTable, flat


class WorkingMirror(TaskTable):
    """The verbs of workers; all but ``claim`` need a claim that holds."""

    def claim(self, wanted: Sequence[tuple[str, int]], owner: UUID, worker: str) -> list[Claim]:
        """Claim tasks, by id and run, for a worker whose lease is valid; return what it got."""
        wanted = sorted(set(wanted))  # in one order, so that two workers do not block each other
        rows = self.update_returning(
            f"state = '{states.RECEIVED}', owner_id = %s, worker = %s, fence = fence + 1, "
            f"received_at = {self.now}, sent_at = COALESCE(sent_at, {self.now})",
            [self.uuid(owner), worker],
            f"{self.pairs(wanted)} AND owner_id IS NULL AND {OPEN} AND {self.alive}",
            [*flat(wanted), self.uuid(owner)],
            "id, run, fence",
        )
        return [Claim(row[0], row[1], row[2], owner.hex) for row in rows]

    def start(self, claim: Claim, *, acks_late: bool) -> bool:
        """Begin the body; tell whether the claim holds."""
        owner = self.uuid(claim.owner)
        return self.update_one(
            f"state = '{states.STARTED}', started_at = {self.now}, acks_late = %s",
            [acks_late],
            f"id = %s AND fence = %s AND owner_id = %s AND state = '{states.RECEIVED}' "
            f"AND {OPEN} AND {self.alive}",
            [claim.task_id, claim.fence, owner, owner],
        )

    def progress(self, claim: Claim, outcome: Outcome) -> bool:
        """Store a state that does not end the task; tell whether the claim holds."""
        return self.update_one(
            "state = %s, result = %s, content_type = %s, traceback = %s",
            outcome[:4],
            f"id = %s AND fence = %s AND {OPEN}",
            [claim.task_id, claim.fence],
        )

    def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """End the task; tell whether the claim holds."""
        return self.update_one(
            "state = %s, result = %s, content_type = %s, traceback = %s, children = %s, "
            f"ended_as = %s, owner_id = NULL, finished_at = {self.now}",
            [*outcome, outcome.ended_as],
            f"id = %s AND fence = %s AND run = %s AND {OPEN}",
            [claim.task_id, claim.fence, claim.run],
        )

    def settle(self, claim: Claim, state: str) -> bool:
        """End a task whose body has stored a state of its own, or none: then it gets ``state``."""
        ended = f"CASE WHEN state = '{states.STARTED}' THEN %s ELSE state END"
        return self.update_one(
            f"state = {ended}, ended_as = NULLIF({ended}, '{states.SUCCESS}'), "
            f"owner_id = NULL, finished_at = {self.now}",
            [state, state],
            f"id = %s AND fence = %s AND run = %s AND {OPEN}",
            [claim.task_id, claim.fence, claim.run],
        )

    def hand_back(self, claim: Claim) -> bool:
        """Give up a claim; tell whether it held and the body may run elsewhere."""
        return self.update_one(
            f"state = '{states.PENDING}', owner_id = NULL",
            [],
            f"id = %s AND fence = %s AND owner_id = %s AND {OPEN} "
            f"AND (state = '{states.RECEIVED}' OR acks_late)",
            [claim.task_id, claim.fence, self.uuid(claim.owner)],
        )
