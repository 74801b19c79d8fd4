"""Two workers, a keeper and an operator in any order: whatever they do, the promise holds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cq_compat import states
from cq_compat.database import OwnConnection
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, KeepingMirror, Outcome, WorkingMirror
from cq_compat.models import Task
from tests.conformance.rows.messages import lose, record, row
from tests.extent import extent

#: Histories tried on each database; CQ_TEST_EXAMPLES=2000 for a night.
EXAMPLES = int(os.environ.get("CQ_TEST_EXAMPLES", extent(10, 30)))
MAX_DEATHS = 3
WORKERS = st.integers(0, 1)
#: How many runs ago a message was published: mostly it is the last one's.
AGES = st.sampled_from([0, 0, 0, 1, 2])
SUCCESS, FAILURE = Outcome(states.SUCCESS), Outcome(states.FAILURE)


class Rows(RuleBasedStateMachine):
    """One task on a real database, driven by the verbs of `cq_compat.mirror` alone.

    Each worker may have several claims at once, some of which do not hold any more. A lease ends
    because the test sets it back; nobody waits. A worker that is dead is one that does nothing.
    """

    def __init__(self, connection: OwnConnection, make_lease: Callable[[str], Lease]) -> None:
        super().__init__()
        self.connection = connection
        self.keeper = KeepingMirror(connection)
        self.worker = WorkingMirror(connection)
        self.leases = [make_lease(f"w{number}@test") for number in range(2)]
        self.undertaker = make_lease("keeper@test")
        self.claims: list[Claim] = []
        self.running: list[Claim] = []
        self.bodies: Counter[int] = Counter()
        self.deaths: Counter[int] = Counter()
        self.ends: dict[int, str] = {}

    @initialize(acks_late=st.booleans())
    def publish(self, acks_late: bool) -> None:
        made = record()
        self.id, self.acks_late = made.id, acks_late
        assert self.keeper.record(made)
        assert not self.keeper.record(made)
        self.seen = self.row

    @property
    def row(self) -> Task:
        """The row as it is committed."""
        return row(self.id)

    # Sending

    @rule(age=AGES)
    def send(self, age: int) -> None:
        self.keeper.mark_sent([(self.id, self.row.run - age)])

    @rule()
    def lose_messages(self) -> None:
        lose(self.keeper)

    # Working: a message of any run may come at any time, as often as it likes

    @rule(index=WORKERS, age=AGES, again=st.booleans(), starts=st.booleans())
    def claim(self, index: int, age: int, again: bool, starts: bool) -> None:
        lease, before = self.leases[index], self.row
        run = before.run - age
        found = self.worker.claim([(self.id, run)], lease.owner, lease.hostname, again=again)
        for claim in found:
            assert before.finished_at is None and before.run == run
            assert before.owner_id in ((None, lease.owner) if again else (None,))
            assert claim.fence == before.fence + 1
            self.claims.append(claim)
            if starts:
                self._start(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def start(self, data: Any) -> None:
        self._start(data.draw(st.sampled_from(self.claims)))

    def _start(self, claim: Claim) -> None:
        before = self.row
        self.claims.remove(claim)
        if self.worker.start(claim, acks_late=self.acks_late):
            assert self._holds(claim, before) and before.state == states.RECEIVED
            self.running.append(claim)
            self.bodies[claim.run] += 1

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        claim, before = data.draw(st.sampled_from(self.running)), self.row
        self.running.remove(claim)
        assert self.worker.finish(claim, SUCCESS) == self._holds(claim, before)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def retry(self, data: Any) -> None:
        claim, before = data.draw(st.sampled_from(self.running)), self.row
        self.running.remove(claim)
        run = self.keeper.rerun(record(self.id), claim, states.RETRY)
        assert (run is not None) == self._holds(claim, before)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def progress(self, data: Any) -> None:
        claim, before = data.draw(st.sampled_from(self.running)), self.row
        stored = self.worker.progress(claim, Outcome("PROGRESS"))
        assert stored == self._holds(claim, before)

    @precondition(lambda self: self.claims or self.running)
    @rule(data=st.data())
    def hand_back(self, data: Any) -> None:
        claim, before = data.draw(st.sampled_from(self.claims + self.running)), self.row
        if self.worker.hand_back(claim, MAX_DEATHS):
            assert self._holds(claim, before)
            self._note_death(before)
            (self.claims if claim in self.claims else self.running).remove(claim)

    # Leases

    @rule(index=WORKERS)
    def renew(self, index: int) -> None:
        self.leases[index].renew()

    @rule(index=WORKERS, keeps=st.booleans())
    def expire(self, index: int, keeps: bool) -> None:
        self.connection.execute(
            "UPDATE cq_worker SET lease_until = started_at WHERE id = %s",
            [self.worker.uuid(self.leases[index].owner)],
        )
        if keeps:
            self._reap()

    def _reap(self) -> None:
        with self.connection.transaction():
            for orphan in self.keeper.orphans(10):
                before = self.row
                if orphan.may_run_again(MAX_DEATHS):
                    assert self.keeper.release(orphan)
                    self._note_death(before)
                else:
                    claim = self.keeper.take_over(orphan, self.undertaker.owner)
                    assert claim is not None and self.worker.finish(claim, FAILURE)

    # Operating

    @rule()
    def revoke(self) -> None:
        was_open = self.row.finished_at is None
        assert bool(self.keeper.revoke([self.id], Outcome(states.REVOKED))) == was_open

    @rule()
    def retry_by_operator(self) -> None:
        was_open = self.row.finished_at is None
        assert bool(self.keeper.requeue([self.id])) == (not was_open)

    # What must hold

    @invariant()
    def an_end_is_never_overwritten(self) -> None:
        found = self.row
        if found.finished_at is not None:
            assert self.ends.setdefault(found.run, found.state) == found.state
            assert found.owner_id is None
        assert found.run not in self.ends or found.finished_at is not None

    @invariant()
    def run_and_fence_only_grow(self) -> None:
        found = self.row
        assert (found.run, found.fence) >= (self.seen.run, self.seen.fence)
        self.seen = found

    @invariant()
    def no_body_too_many(self) -> None:
        for run, count in self.bodies.items():
            assert count <= 1 + (self.deaths[run] if self.acks_late else 0)

    def _holds(self, claim: Claim, before: Task) -> bool:
        return before.finished_at is None and (before.run, before.fence) == (
            claim.run,
            claim.fence,
        )

    def _note_death(self, before: Task) -> None:
        if before.state != states.RECEIVED:
            self.deaths[before.run] += 1


def test_the_promise_holds_in_any_order(
    connection: OwnConnection, make_lease: Callable[[str], Lease]
) -> None:
    run_state_machine_as_test(
        lambda: Rows(connection, make_lease),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
