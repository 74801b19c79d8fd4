"""A long load under two kinds of faults: the layer loses everything, workers are killed."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from tests.chaos.stage import Stage, kill_group
from tests.chaos.stream import Stream
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

#: Seconds between two losses of the layer, and between two deaths of a worker.
LOSS, DEATH = 3.0, 5.0
PROCESSES = 4
#: What the two workers run their tasks in; threads write about theirs together.
POOLS = ("-c", "2"), ("--pool=threads", "-c", "8")


@dataclass
class Report:
    """What a load went through, and what became of it."""

    tasks: int = 0
    losses: int = 0
    deaths: int = 0
    states: dict[str, int] | None = None
    bodies: int = 0
    faults: dict[str, int] | None = None

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks; the layer lost everything {self.losses} times, "
            f"{self.deaths} workers were killed; {self.bodies} bodies, {self.states}; "
            f"faults: {self.faults or 'none'}"
        )


def run_load(stage: Stage, count: int, timeout: float = 600.0) -> Report:
    """Publish `count` tasks by four processes, half of them acknowledged late, under faults."""
    report = Report()
    for number in range(len(POOLS)):
        _worker(stage, number)
    with Stream(stage, processes=PROCESSES, count=count // PROCESSES, pause=0.005) as stream:
        next_loss, next_death = monotonic() + LOSS, monotonic() + DEATH
        while stream.is_running:
            due = min(next_loss, next_death)
            wait_until(lambda due=due: not stream.is_running or monotonic() > due, LOSS + DEATH)
            if monotonic() > next_loss:
                _lose(stage, report)
                next_loss = monotonic() + LOSS
            if monotonic() > next_death:
                _kill(stage, report)
                next_death = monotonic() + DEATH
    stage.wait_finished(timeout=timeout)
    history = stage.history()
    states = [history.rows[task_id].state for task_id in history.published]
    report.tasks, report.bodies = len(history.published), len(history.bodies)
    report.states = {state: states.count(state) for state in sorted(set(states))}
    report.faults = history.faults
    return report


def _lose(stage: Stage, report: Report) -> None:
    if report.losses % 2:
        stage.redis.restart(keep=False)
    else:
        stage.redis.flush()
    report.losses += 1


def _kill(stage: Stage, report: Report) -> None:
    number = report.deaths % len(POOLS)
    kill_group(_worker(stage, number))
    _worker(stage, number)
    report.deaths += 1


def _worker(stage: Stage, number: int) -> CeleryWorker:
    return stage.worker("celery", name=f"load-{number}", pool=POOLS[number])
