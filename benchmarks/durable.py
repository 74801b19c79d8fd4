"""Measures of tasks that are kept in a database."""

from statistics import median

from benchmarks.figures import Comparison, Figure
from benchmarks.measure import POOLS, Measure, quantile
from benchmarks.sides import DURABLE, STOCK, STORED
from benchmarks.slots import FIRST
from benchmarks.stage import Stage

WARM_UP = 20  # tasks
#: By pool, what a worker is called and started with. With one thread for each core, bodies that
#: wait would wait in turn.
WORKERS = {
    "prefork": ("prefork", POOLS["prefork"]),
    "threads": ("16 threads", (*POOLS["threads"], "-c", "16")),
}


class EndToEnd(Measure):
    """How fast tasks are done while one process publishes them, one after the other: from the first
    `delay()` until the last one has ended, with its outcome stored where the side stores it.
    """

    kind = "end-to-end"
    label = "end to end"
    sides = (STOCK, DURABLE, STORED)
    comparisons = (Comparison(DURABLE, STOCK, target=0.8), Comparison(DURABLE, STORED, target=3))
    block = 1  # tasks
    needs_database = True
    on_slow_link = False

    def __init__(self, pool: str, tasks: int) -> None:
        self.pool = pool
        self.tasks = 1 + WARM_UP + tasks
        name, self.flags = WORKERS[pool]
        self.figures = (Figure(f"{self.label}, {name}", "tasks/s", 0, self.comparisons),)

    def run(self, stage: Stage) -> tuple[float, ...]:
        with stage.worker(*self.flags) as worker:
            stage.await_ready(worker)
            begun = stage.publish("stream", FIRST + 1, self.tasks - 1, WARM_UP, self.block)
            stage.wait_noted(worker)
        stage.check_stored(self.tasks)
        ended = stage.slots.tasks()[1 + WARM_UP :]
        return (len(ended) * 1e9 / (max(ended) - begun),)


class Bulk(EndToEnd):
    """The same, with the tasks published by the hundred; without rows that makes no difference."""

    kind = "bulk"
    label = "end to end in bulk"
    block = 100


class Transaction(Measure):
    """What `delay()` costs a transaction that writes something of its own; nobody consumes."""

    kind = "transaction"
    sides = (STOCK, DURABLE)
    needs_database = True
    on_slow_link = False

    def __init__(self, samples: int) -> None:
        self.tasks = WARM_UP + samples
        free, bounded = Comparison(DURABLE, STOCK), Comparison(DURABLE, STOCK, limit=1)
        self.figures = tuple(
            Figure(label, "ms", 2, (compared,), more_is_better=False)
            for label, compared in (
                ("delay() in a transaction p50", bounded),
                ("delay() in a transaction p99", free),
                ("transaction longer by, p50", bounded),
            )
        )

    def run(self, stage: Stage) -> tuple[float, ...]:
        calls, publishing, others = (
            [nanoseconds / 1e6 for nanoseconds in found]
            for found in stage.publish("transactions", FIRST, self.tasks, WARM_UP)
        )
        return quantile(calls, 0.5), quantile(calls, 0.99), median(publishing) - median(others)
