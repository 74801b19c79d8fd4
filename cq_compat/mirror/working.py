"""What workers write: claim, start, progress, finish, hand back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from cq_compat import states
from cq_compat.mirror.claims import Claim
from cq_compat.mirror.endings import EndingTable
from cq_compat.mirror.outcomes import NO_TERMS, End, Outcome, Terms
from cq_compat.mirror.table import HAS_NEXT, HAS_SUBTASKS, OPEN, READY, Params, marks
from cq_compat.records import PUBLISHER_TIME


class WorkingMirror(EndingTable):
    """The verbs of workers; all but ``claim`` need a claim that holds."""

    def claim(
        self,
        wanted: Sequence[tuple[str, int]],
        owner: UUID,
        worker: str,
        *,
        again: bool = False,
    ) -> list[Claim]:
        """Claim tasks, by id and run, for a worker whose lease is valid; return what it got.

        Args:
            again: whether the answer to such a claim was lost; the worker may then own them
                without knowing it. Claims on them that it does know are refused afterwards.
        """
        wanted = sorted(set(wanted))  # in one order, so that two workers do not block each other
        chosen, named = self.pairs(wanted)
        free, mine = "owner_id IS NULL", f"owner_id = %s AND state = '{states.RECEIVED}'"
        rows = self.update_returning(
            f"state = '{states.RECEIVED}', owner_id = %s, worker = %s, fence = fence + 1, "
            f"received_at = {self.now}, sent_at = COALESCE(sent_at, {self.now})",
            [self.uuid(owner), worker],
            f"{chosen} AND {f'({free} OR {mine})' if again else free} "
            f"AND {OPEN} AND {READY} AND {self.alive}",
            [*named, *[self.uuid(owner)] * (2 if again else 1)],
            "id, run, fence",
            once=True,
        )
        return [Claim(row[0], row[1], row[2], owner.hex) for row in rows]

    def start(self, claim: Claim, *, acks_late: bool, again: bool = False) -> bool:
        """Begin the body; tell whether the claim holds.

        Args:
            again: whether this process has tried before and the answer was lost; the body may
                count as begun already.
        """
        owner = self.uuid(claim.owner)
        since = (states.RECEIVED, states.STARTED) if again else (states.RECEIVED,)
        return self.update_one(
            f"state = '{states.STARTED}', started_at = {self.now}, acks_late = %s, "
            "progress_done = NULL, progress_total = NULL, progress_message = NULL",
            [acks_late],
            f"id = %s AND fence = %s AND owner_id = %s AND state IN ({marks(since)}) "
            f"AND {OPEN} AND {self.alive}",
            [claim.task_id, claim.fence, owner, *since, owner],
            once=True,
            row=claim.task_id,
        )

    def progress(self, claim: Claim, outcome: Outcome) -> bool:
        """Store a state that does not end the task; tell whether the claim holds."""
        return self.update_one(
            "state = %s, result = %s, content_type = %s, traceback = %s",
            outcome[:4],
            f"id = %s AND fence = %s AND {OPEN}",
            [claim.task_id, claim.fence],
            row=claim.task_id,
        )

    def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """End the task, or let it wait for its subtasks; tell whether the claim holds."""
        return self.end(claim, outcome) is not None

    def end(self, claim: Claim, outcome: Outcome, terms: Terms = NO_TERMS) -> End | None:
        """End the task; ``None`` if the claim does not hold. One that has succeeded waits for its
        subtasks, if it has begun any: that all have ended by now does not tell that none is to
        come, of a chord, or that all have ended well.
        """
        key = _key(claim)
        if outcome.state != states.SUCCESS:
            return self._end(claim.task_id, outcome, _HELD, key)
        if terms.result_from is None:
            guard = f"{_HELD} AND NOT {HAS_SUBTASKS}"
            done = self._end(claim.task_id, outcome, guard, [*key, claim.task_id])
            if done is not None:
                return done
        return self._wait(claim, outcome, terms)

    def _end(
        self, task_id: str, outcome: Outcome, guard: str, params: Params, also: str = ""
    ) -> End | None:
        return self.end_one(
            task_id,
            "state = %s, result = %s, content_type = %s, traceback = %s, children = %s, "
            f"ended_as = %s, owner_id = NULL, {also}finished_at = {self.now}",
            [*outcome, outcome.ended_as],
            guard,
            params,
        )

    def _wait(self, claim: Claim, outcome: Outcome, terms: Terms) -> End | None:
        # The claim holds no more, nor is there a message to lose or to send.
        return self.end_one(
            claim.task_id,
            f"state = '{states.WAITING}', result = %s, content_type = %s, traceback = %s, "
            "children = %s, result_from = %s, subtasks_may_fail = %s, owner_id = NULL, "
            f"fence = fence + 1, sent_at = NULL, due_at = NULL, waiting_since = {self.now}",
            [*outcome[1:], *terms],
            _HELD,
            _key(claim),
        )

    def end_of(self, owner: UUID, task_id: str, outcome: Outcome) -> bool:
        """End a task of a worker that has lost the claim itself, with the process that ran it; tell
        whether the worker owned it.
        """
        guard, params = f"id = %s AND owner_id = %s AND {OPEN}", [task_id, self.uuid(owner)]
        return self._end(task_id, outcome, guard, params, "fence = fence + 1, ") is not None

    def settle(self, claim: Claim, state: str, terms: Terms = NO_TERMS) -> bool:
        """End a task whose body has stored a state of its own, or none: then it gets ``state``."""
        if state != states.SUCCESS:
            return self._settle(claim, state, _HELD, _key(claim))
        guard = f"{_HELD} AND NOT {HAS_SUBTASKS}"
        return (
            self._settle(claim, state, guard, [*_key(claim), claim.task_id])
            or self._wait(claim, Outcome(state), terms) is not None
        )

    def _settle(self, claim: Claim, state: str, guard: str, params: Params, also: str = "") -> bool:
        last = f"CASE WHEN state = '{states.STARTED}' THEN %s ELSE state END"
        ended = self.end_one(
            claim.task_id,
            f"state = {last}, ended_as = NULLIF({last}, '{states.SUCCESS}'), "
            f"owner_id = NULL, {also}finished_at = {self.now}",
            [state, state],
            guard,
            params,
        )
        return ended is not None

    def has_subtasks(self, task_id: str) -> bool:
        """Tell whether a task has begun any."""
        return bool(self.select("1", f"id = %s AND {HAS_SUBTASKS}", [task_id] * 2))

    def give_way(self, claim: Claim) -> bool:
        """Leave the outcome of a task to those that were put in its place; tell whether the claim
        holds. The task waits for them if others wait for it; else it is ignored until then.
        """
        return self.update_one(
            f"state = '{states.WAITING}', owner_id = NULL, fence = fence + 1, sent_at = NULL, "
            "due_at = NULL",
            [],
            f"{_HELD} AND (is_subtask OR {HAS_NEXT})",
            [*_key(claim), claim.task_id],
        ) or self._settle(claim, states.IGNORED, _HELD, _key(claim), "result_from = id, ")

    def put_off(self, claim: Claim) -> bool:
        """Note that a body has ended and its message goes back, so that this is no death; tell
        whether the claim holds.
        """
        return self.update_one(
            f"state = '{states.RECEIVED}'",
            [],
            f"id = %s AND fence = %s AND owner_id = %s AND {OPEN}",
            [claim.task_id, claim.fence, self.uuid(claim.owner)],
        )

    def leave(self, claim: Claim, state: str, retries: int) -> bool:
        """Leave a task, which has published itself to another broker, to the observers there; tell
        whether the claim held.
        """
        return self.update_one(
            "state = %s, retries = %s, run = run + 1, owner_id = NULL, fence = fence + 1, "
            "message = '', broker = '', sent_at = NULL, due_at = NULL",
            [state, retries],
            f"id = %s AND fence = %s AND run = %s AND {OPEN}",
            [claim.task_id, claim.fence, claim.run],
        )

    def hand_back(self, claim: Claim, max_deaths: int) -> bool:
        """Give up a claim; tell whether it held and the body may run elsewhere. One that had begun
        has died, and may run again after fewer than ``max_deaths``.

        The row counts as unsent: a keeper sends it if the message does not get back.
        """
        return self.update_one(
            f"deaths = deaths + CASE WHEN state = '{states.RECEIVED}' THEN 0 ELSE 1 END, "
            f"state = '{states.PENDING}', owner_id = NULL, sent_at = NULL, due_at = {self.later}",
            [PUBLISHER_TIME],
            f"id = %s AND fence = %s AND owner_id = %s AND {OPEN} "
            f"AND (state = '{states.RECEIVED}' OR acks_late AND deaths + 1 < %s)",
            [claim.task_id, claim.fence, self.uuid(claim.owner), max_deaths],
        )

    def die(self, claim: Claim, max_deaths: int) -> Claim | None:
        """Count the last death of a body; return the claim under which its task is to be ended,
        ``None`` if it was not the last one.
        """
        held = self.update_one(
            "deaths = deaths + 1, fence = fence + 1",
            [],
            f"id = %s AND fence = %s AND owner_id = %s AND {OPEN} "
            f"AND state <> '{states.RECEIVED}' AND acks_late AND deaths + 1 >= %s",
            [claim.task_id, claim.fence, self.uuid(claim.owner), max_deaths],
        )
        return replace(claim, fence=claim.fence + 1) if held else None


_HELD = f"id = %s AND fence = %s AND run = %s AND {OPEN}"


def _key(claim: Claim) -> list[Any]:
    return [claim.task_id, claim.fence, claim.run]
