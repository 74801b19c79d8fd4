"""Everything that the protocol's safety depends on, as values."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from cq_compat import states

RUNS = (0, 1)  # the task is retried once at most
COPIES = 2  # of one message in the layer at once
MAX_DEATHS = 3
ENDED = frozenset({states.SUCCESS, states.FAILURE})


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


class Row(NamedTuple):
    """The task's row."""

    state: str = states.PENDING
    run: int = 0
    fence: int = 0
    owner: int | None = None
    deaths: int = 0
    is_sent: bool = False

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
        faults: how many faults there were.
    """

    row: Row = Row()
    layer: tuple[int, int] = (0, 0)
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    begun: tuple[int, int] = (0, 0)
    faults: int = 0

    def with_worker(self, index: int, worker: Worker) -> World:
        """Return the same with another worker."""
        return self._replace(workers=_put(self.workers, index, worker))

    def with_copies(self, run: int, change: int) -> World:
        """Return the same with more or fewer copies of a message."""
        return self._replace(layer=_put(self.layer, run, self.layer[run] + change))

    def with_body(self, run: int) -> World:
        """Return the same with one more body begun."""
        return self._replace(begun=_put(self.begun, run, self.begun[run] + 1))


def _put(values, index, value):  # type: ignore[no-untyped-def]
    return (*values[:index], value, *values[index + 1 :])
