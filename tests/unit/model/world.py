"""Everything that the protocol's safety depends on, as values."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from itertools import count
from typing import NamedTuple

from cq_compat import states

RUNS = (0, 1)  # the task is retried once at most
COPIES = 2  # of one message in the layer at once
MAX_DEATHS = 3
ENDED = frozenset({states.SUCCESS, states.FAILURE})

_ranks = count()


class Guard(Enum):
    """A condition of `cq_compat.mirror` without which the promise does not hold."""

    CLAIM_FREE = auto()  # no owner
    CLAIM_OPEN = auto()  # not finished
    CLAIM_RUN = auto()
    START_CLAIM = auto()  # fence, owner and RECEIVED
    START_BEFORE_BODY = auto()  # STARTED is committed before the body begins
    FINISH_FENCE = auto()
    FINISH_OPEN = auto()  # defence in depth: whoever else ends a task moves the fence
    RERUN_FENCE = auto()
    HAND_BACK_CLAIM = auto()  # fence and owner
    HAND_BACK_BEGUN = auto()  # a begun body goes back only with late acknowledgement
    REAP_BEGUN = auto()  # a begun body is released only with late acknowledgement
    REAP_FENCE = auto()  # defence in depth: the owner and the end say the same
    MARK_TIME = auto()  # a note says when the sending began, and not when the note was made
    MARK_CLAIMED = auto()  # a note is refused if the task was claimed since the sending began
    LATE_NOTES = auto()  # what was sent before the epoch is looked for again and again


class Sent(Enum):
    """When a message was sent: in the layer's epoch of now, or in an earlier one; or a worker has
    claimed the task since.
    """

    NOW = auto()
    BEFORE = auto()
    CLAIMED = auto()


class Row(NamedTuple):
    """The task's row."""

    state: str = states.PENDING
    run: int = 0
    fence: int = 0
    owner: int | None = None
    deaths: int = 0
    sent: Sent | None = None

    @property
    def is_open(self) -> bool:
        """Whether the task has not ended."""
        return self.state not in ENDED


class Claim(NamedTuple):
    """A claim that a worker has, and how far its body is: received, running or done."""

    run: int
    fence: int
    phase: str = "received"


class Worker(NamedTuple):
    """A worker: alive, paused or dead; the run of a message that it has taken, and its claim."""

    life: str = "alive"
    taken: int | None = None
    claim: Claim | None = None
    is_expired: bool = False


class World(NamedTuple):
    """A state of everything.

    Args:
        layer: how many copies of the message of each run are in the layer.
        begun: how many bodies of each run have begun.
        sending: the run of a message that was sent and not noted yet, and when it was.
        faults: how many faults there were.
        looks: whether the keeper has yet to look for what was sent before the epoch.
    """

    row: Row = Row()
    layer: tuple[int, int] = (0, 0)
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    begun: tuple[int, int] = (0, 0)
    sending: tuple[int, Sent] | None = None
    faults: int = 0
    looks: bool = False

    def with_worker(self, index: int, worker: Worker) -> World:
        """Return the same with another worker."""
        return self._replace(workers=_put(self.workers, index, worker))

    def with_copies(self, run: int, change: int) -> World:
        """Return the same with more or fewer copies of a message."""
        return self._replace(layer=_put(self.layer, run, self.layer[run] + change))

    def claimed(self, run: int) -> World:
        """Return the same with a message that is on its way claimed."""
        mine = self.sending is not None and self.sending[0] == run
        return self._replace(sending=(run, Sent.CLAIMED)) if mine else self

    def in_another_epoch(self) -> World:
        """Return the same with what was sent before the layer's epoch."""
        row, sending = self.row, self.sending
        if row.sent is Sent.NOW:
            row = row._replace(sent=Sent.BEFORE)
        if sending is not None and sending[1] is Sent.NOW:
            sending = (sending[0], Sent.BEFORE)
        return self._replace(row=row, sending=sending, looks=True)

    def canonical(self) -> World:
        """Return one of the two states in which the workers have changed places, always the same:
        what one may do, the other may.
        """
        first, second = self.workers
        is_in_order = _rank(first) <= _rank(second) if first != second else self.row.owner != 1
        if is_in_order:
            return self
        owner = None if self.row.owner is None else 1 - self.row.owner
        return self._replace(workers=(second, first), row=self.row._replace(owner=owner))

    def with_body(self, run: int) -> World:
        """Return the same with one more body begun."""
        return self._replace(begun=_put(self.begun, run, self.begun[run] + 1))


@cache
def _rank(worker: Worker) -> int:
    return next(_ranks)


def _put(values, index, value):  # type: ignore[no-untyped-def]
    return (*values[:index], value, *values[index + 1 :])
