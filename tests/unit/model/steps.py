"""What may happen next: the verbs of `cq_compat.mirror`, and faults."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from cq_compat import states
from tests.unit.model.world import COPIES, MAX_DEATHS, RUNS, Claim, Guard, Sent, World


class Step(NamedTuple):
    """A step to another state of the world."""

    name: str
    worker: int | None
    world: World
    is_fault: bool = False


class Protocol:
    """The steps of one task.

    Args:
        acks_late: whether the message is acknowledged after the body.
        without: guards that are left out.
        most_faults: faults in one history.
        is_watched: whether the queue is ever seen empty, by which every loss is found. Otherwise it
            matters when a message was sent and when that was noted; a worker that dies between
            taking and claiming is left out then.
    """

    def __init__(
        self,
        *,
        acks_late: bool,
        without: Collection[Guard] = (),
        most_faults: int = 3,
        is_watched: bool = True,
    ) -> None:
        self.acks_late = acks_late
        self.without = without
        self.most_faults = most_faults
        self.is_watched = is_watched

    def steps(self, world: World) -> Iterator[Step]:
        """Yield every step that may follow."""
        yield from self._keeper(world)
        for index in range(len(world.workers)):
            yield from self._worker(world, index)
            yield from self._reaper(world, index)
        if world.faults < self.most_faults:
            yield from self._faults(world._replace(faults=world.faults + 1))

    def _asks(self, guard: Guard, condition: bool) -> bool:
        return condition or guard in self.without

    # Sending: the message first, then the note; whoever sends may die between the two, or be slow.

    def _keeper(self, world: World) -> Iterator[Step]:
        row = world.row
        if not row.is_open or row.owner is not None:
            return
        if row.sent is None and world.layer[row.run] < COPIES:
            sending = None if self.is_watched else (row.run, Sent.NOW)
            yield Step("send", None, world.with_copies(row.run, 1)._replace(sending=sending))
        if self.is_watched and world.layer[row.run]:
            yield from self._mark_sent(world, row.run, Sent.NOW)
        if world.sending is not None:
            yield Step("die_sending", None, world._replace(sending=None), is_fault=True)
            yield from self._mark_sent(world, *world.sending)
        if row.sent is Sent.BEFORE and (world.looks or Guard.LATE_NOTES not in self.without):
            yield Step("unsend", None, world._replace(row=row._replace(sent=None)))
        if world.looks:
            yield Step("look", None, world._replace(looks=False))
        if row.sent is not None:  # its queue is seen empty; that may be wrong
            empty = world._replace(row=row._replace(sent=None))
            yield Step("seen_empty", None, empty, is_fault=not self.is_watched)

    def _mark_sent(self, world: World, run: int, when: Sent) -> Iterator[Step]:
        row, forgotten = world.row, world._replace(sending=None)
        noted = self._asks(Guard.MARK_CLAIMED, when is not Sent.CLAIMED)
        if noted and row.sent is None and row.run == run:
            late = when is Sent.BEFORE and Guard.MARK_TIME not in self.without
            marked = row._replace(sent=Sent.BEFORE if late else Sent.NOW)
            yield Step("mark_sent", None, forgotten._replace(row=marked))

    # Working

    def _worker(self, world: World, index: int) -> Iterator[Step]:
        worker = world.workers[index]
        if worker.life == "paused":
            awake = worker._replace(life="alive", is_expired=False)
            yield Step("resume", index, world.with_worker(index, awake))
        if worker.life == "dead" and worker.is_expired and world.row.owner != index:
            anew = worker._replace(life="alive", is_expired=False)
            yield Step("restart", index, world.with_worker(index, anew))
        if worker.life != "alive" and not worker.is_expired:
            yield Step("expire", index, world.with_worker(index, worker._replace(is_expired=True)))
        if worker.life == "alive":
            yield from self._take(world, index)
            yield from self._go_on(world, index)

    def _take(self, world: World, index: int) -> Iterator[Step]:
        worker, row = world.workers[index], world.row
        if worker.taken is not None:
            empty = worker._replace(taken=None)
            if self._may_claim(world, worker.taken):
                claimed = empty._replace(claim=Claim(worker.taken, row.fence + 1))
                owned = row._replace(state=states.RECEIVED, owner=index, fence=row.fence + 1)
                owned = owned._replace(sent=Sent.NOW)
                after = world.claimed(worker.taken).with_worker(index, claimed)
                yield Step("claim", index, after._replace(row=owned))
            else:
                yield Step("drop", index, world.with_worker(index, empty))
        elif worker.claim is None:
            for run in RUNS:
                if world.layer[run]:
                    holding = world.with_worker(index, worker._replace(taken=run))
                    yield Step("take", index, holding.with_copies(run, -1))

    def _may_claim(self, world: World, run: int) -> bool:
        row = world.row
        return (
            self._asks(Guard.CLAIM_FREE, row.owner is None)
            and self._asks(Guard.CLAIM_OPEN, row.is_open)
            and self._asks(Guard.CLAIM_RUN, row.run == run)
        )

    def _go_on(self, world: World, index: int) -> Iterator[Step]:
        claim = world.workers[index].claim
        if claim is None:
            return
        if claim.phase == "received":
            yield from self._start(world, index, claim)
        elif claim.phase == "running":
            yield self._with_claim("body", world, index, claim._replace(phase="done"))
            yield from self._rerun(world, index, claim)
        else:
            yield self._finish(world, index, claim)

    def _start(self, world: World, index: int, claim: Claim) -> Iterator[Step]:
        row = world.row
        holds = (row.state, row.fence, row.owner) == (states.RECEIVED, claim.fence, index)
        if self._asks(Guard.START_CLAIM, holds):
            if row.is_open and Guard.START_BEFORE_BODY not in self.without:
                row = row._replace(state=states.STARTED)
            begun = world._replace(row=row).with_body(claim.run)
            yield self._with_claim("start", begun, index, claim._replace(phase="running"))
        else:
            yield self._with_claim("refuse", world, index, None)

    def _rerun(self, world: World, index: int, claim: Claim) -> Iterator[Step]:
        row = world.row
        held = self._asks(Guard.RERUN_FENCE, row.fence == claim.fence) and row.is_open
        if claim.run == 0 and held and row.run == claim.run:
            again = row._replace(state=states.RETRY, run=1, owner=None, sent=None)
            yield self._with_claim("rerun", world._replace(row=again), index, None)

    def _finish(self, world: World, index: int, claim: Claim) -> Step:
        row = world.row
        if self._asks(Guard.FINISH_FENCE, row.fence == claim.fence) and self._asks(
            Guard.FINISH_OPEN, row.is_open
        ):
            row = row._replace(state=states.SUCCESS, owner=None)
        return self._with_claim("finish", world._replace(row=row), index, None)

    def _hand_back(self, world: World, index: int, claim: Claim) -> Iterator[Step]:
        # The worker shuts down, or its child has died: the body does not go on.
        row = world.row
        has_begun = claim.phase != "received"
        if not has_begun and not self._asks(
            Guard.HAND_BACK_CLAIM, (row.fence, row.owner) == (claim.fence, index)
        ):
            return
        if has_begun and not self._asks(Guard.HAND_BACK_BEGUN, self.acks_late):
            return
        if not row.is_open or (has_begun and (row.fence, row.owner) != (claim.fence, index)):
            return
        if row.deaths + has_begun >= MAX_DEATHS:
            return
        free = row._replace(
            state=states.PENDING, owner=None, sent=None, deaths=row.deaths + has_begun
        )
        step = self._with_claim("hand_back", world._replace(row=free), index, None)
        yield step._replace(is_fault=True)

    def _with_claim(self, name: str, world: World, index: int, claim: Claim | None) -> Step:
        worker = world.workers[index]._replace(claim=claim)
        return Step(name, index, world.with_worker(index, worker))

    # Reaping

    def _reaper(self, world: World, index: int) -> Iterator[Step]:
        row, worker = world.row, world.workers[index]
        if row.owner != index or not row.is_open:
            return
        if not worker.is_expired:
            return
        fence = row.fence + (Guard.REAP_FENCE not in self.without)
        has_begun = row.state != states.RECEIVED
        deaths = row.deaths + has_begun
        survives = self._asks(Guard.REAP_BEGUN, self.acks_late) and deaths < MAX_DEATHS
        end = states.PENDING if survives or not has_begun else states.FAILURE
        free = row._replace(state=end, owner=None, fence=fence, deaths=deaths, sent=None)
        yield Step("reap", index, world._replace(row=free))

    # Faults

    def _faults(self, world: World) -> Iterator[Step]:
        if any(world.layer):
            empty = world._replace(layer=(0, 0))
            after = empty if self.is_watched else empty.in_another_epoch()
            yield Step("flush", None, after, is_fault=True)
        for run in RUNS:
            if 0 < world.layer[run] < COPIES:
                yield Step("repeat", None, world.with_copies(run, 1), is_fault=True)
        for index, worker in enumerate(world.workers):
            if worker.life == "alive":
                if self.is_watched or worker.taken is None:
                    dead = worker._replace(life="dead", taken=None, claim=None)
                    yield Step("kill", index, world.with_worker(index, dead), is_fault=True)
                paused = worker._replace(life="paused")
                yield Step("pause", index, world.with_worker(index, paused), is_fault=True)
            if worker.claim is not None and worker.life == "alive":
                yield from self._hand_back(world, index, worker.claim)
