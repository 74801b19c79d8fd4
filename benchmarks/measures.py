"""What is measured, each on one side at a time."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import psutil

from benchmarks.slots import FIRST
from benchmarks.stage import Stage

POOLS = {
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads",),
    "prefork": ("--pool=prefork", "-c", "2"),
}
PUBLISH_WARM_UP = 200  # tasks
LATENCY_WARM_UP = 20  # tasks
LATENCY_RATE = 100  # tasks per second
SETTLE = 3.0  # seconds after the start of an idle worker that are not counted


@dataclass(frozen=True)
class Figure:
    """A measured quantity; the targets are ratios of the two sides, on the direct and slow link."""

    label: str
    unit: str
    digits: int
    target: float | None
    slow_target: float | None
    more_is_better: bool = True
    limit: float | None = None  # the most that `channels://` may have, in `unit`


class Measure(ABC):
    """One kind of run; its figures come out of `run` in the order of `figures`."""

    kind: str
    pool: str | None = None
    tasks: int
    figures: tuple[Figure, ...]
    repeats = True  # in every round; otherwise in the first one only

    @property
    def name(self) -> str:
        """The kind and the pool."""
        return f"{self.kind}:{self.pool}" if self.pool else self.kind

    @abstractmethod
    def run(self, stage: Stage) -> tuple[float, ...]:
        """Run once and return the figures."""


class Drain(Measure):
    """How fast a worker empties a full queue, from the first task's start to the last one's."""

    kind = "drain"

    def __init__(self, pool: str, tasks: int) -> None:
        self.pool = pool
        self.tasks = tasks
        targets = (4, 6) if pool == "prefork" else (6, 10)
        self.figures = (Figure(f"drain, {pool}", "tasks/s", 0, *targets),)

    def run(self, stage: Stage) -> tuple[float, ...]:
        stage.fill(self.tasks)
        with stage.worker(*POOLS[self.pool]) as worker:
            stage.wait_started(worker)
        started = stage.slots.tasks()
        return ((self.tasks - 1) * 1e9 / (max(started) - min(started)),)


class Publish(Measure):
    """How fast one process publishes, until the last task is in the queue; nobody consumes."""

    kind = "publish"

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.figures = (Figure("publish", "tasks/s", 0, 1.3, 4),)

    def run(self, stage: Stage) -> tuple[float, ...]:
        seconds = stage.publish("burst", FIRST, self.tasks, PUBLISH_WARM_UP)
        return (self.tasks / seconds,)


class Latency(Measure):
    """How long a task that finds the worker idle takes from `delay()` to its start."""

    kind = "latency"

    def __init__(self, pool: str, samples: int) -> None:
        self.pool = pool
        self.tasks = 1 + LATENCY_WARM_UP + samples
        self.figures = tuple(
            Figure(f"latency {which}, {pool}", "ms", 2, 1, 1, more_is_better=False)
            for which in ("p50", "p99")
        )

    def run(self, stage: Stage) -> tuple[float, ...]:
        with stage.worker(*POOLS[self.pool]) as worker:
            stage.await_ready(worker)
            published = stage.publish("paced", FIRST + 1, self.tasks - 1, LATENCY_RATE)
            stage.wait_started(worker)
        started = stage.slots.tasks()[1:]
        waits = [(begun - sent) / 1e6 for begun, sent in zip(started, published, strict=True)]
        ordered = sorted(waits[LATENCY_WARM_UP:])
        return tuple(ordered[int(share * len(ordered))] for share in (0.5, 0.99))


class Idle(Measure):
    """How much of a core an idle worker takes, its children included."""

    kind = "idle"
    tasks = 1
    repeats = False

    def __init__(self, pool: str, seconds: float) -> None:
        self.pool = pool
        self.seconds = seconds
        self.figures = (
            Figure(
                f"idle worker, {pool}", "% of a core", 2, None, None, more_is_better=False, limit=1
            ),
        )

    def run(self, stage: Stage) -> tuple[float, ...]:
        with stage.worker(*POOLS[self.pool]) as worker:
            stage.await_ready(worker)
            time.sleep(SETTLE)
            before, begin = _cpu_seconds(worker.members()), time.monotonic()
            time.sleep(self.seconds)
            used = _cpu_seconds(worker.members()) - before
            return (100 * used / (time.monotonic() - begin),)


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(t.user + t.system for t in times))
