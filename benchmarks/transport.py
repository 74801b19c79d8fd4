"""Measures of the transport alone: no rows, no results."""

import time

import psutil

from benchmarks.figures import Comparison, Figure
from benchmarks.measure import POOLS, Measure, quantile
from benchmarks.slots import FIRST
from benchmarks.stage import Stage

PUBLISH_WARM_UP = 200  # tasks
LATENCY_WARM_UP = 20  # tasks
LATENCY_RATE = 100  # tasks per second
SETTLE = 3.0  # seconds after the start of an idle worker that are not counted


class Drain(Measure):
    """How fast a worker empties a full queue, from the first task's start to the last one's."""

    kind = "drain"

    def __init__(self, pool: str, tasks: int) -> None:
        self.pool = pool
        self.tasks = tasks
        target, slow_target = (4, 6) if pool == "prefork" else (6, 10)
        compared = Comparison(target=target, slow_target=slow_target)
        self.figures = (Figure(f"drain, {pool}", "tasks/s", 0, (compared,)),)

    def run(self, stage: Stage) -> tuple[float, ...]:
        stage.fill(self.tasks)
        with stage.worker(*POOLS[self.pool]) as worker:
            stage.wait_noted(worker)
        started = stage.slots.tasks()
        return ((self.tasks - 1) * 1e9 / (max(started) - min(started)),)


class Publish(Measure):
    """How fast one process publishes, until the last task is in the queue; nobody consumes."""

    kind = "publish"

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        compared = Comparison(target=1.3, slow_target=4)
        self.figures = (Figure("publish", "tasks/s", 0, (compared,)),)

    def run(self, stage: Stage) -> tuple[float, ...]:
        seconds = stage.publish("burst", FIRST, self.tasks, PUBLISH_WARM_UP)
        return (self.tasks / seconds,)


class Latency(Measure):
    """How long a task that finds the worker idle takes from `delay()` to its start."""

    kind = "latency"

    def __init__(self, pool: str, samples: int) -> None:
        self.pool = pool
        self.tasks = 1 + LATENCY_WARM_UP + samples
        compared = Comparison(target=1, slow_target=1)
        self.figures = tuple(
            Figure(f"latency {which}, {pool}", "ms", 2, (compared,), more_is_better=False)
            for which in ("p50", "p99")
        )

    def run(self, stage: Stage) -> tuple[float, ...]:
        with stage.worker(*POOLS[self.pool]) as worker:
            stage.await_ready(worker)
            published = stage.publish("paced", FIRST + 1, self.tasks - 1, LATENCY_RATE)
            stage.wait_noted(worker)
        started = stage.slots.tasks()[1:]
        waits = [(begun - sent) / 1e6 for begun, sent in zip(started, published, strict=True)]
        return tuple(quantile(waits[LATENCY_WARM_UP:], share) for share in (0.5, 0.99))


class Idle(Measure):
    """How much of a core an idle worker takes, its children included."""

    kind = "idle"
    tasks = 1
    repeats = False

    def __init__(self, pool: str, seconds: float) -> None:
        self.pool = pool
        self.seconds = seconds
        compared = Comparison(limit=1)
        self.figures = (
            Figure(f"idle worker, {pool}", "% of a core", 2, (compared,), more_is_better=False),
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
