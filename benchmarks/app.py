"""The Celery app of every side, with tasks that note a time and do nothing else."""

import os
import time
from typing import Any

from celery import Celery, Task

from benchmarks.slots import REPEATED, Slots

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

app = Celery("benchmarks")
app.config_from_object("django.conf:settings", namespace="CELERY")

noted = Slots(os.environ["CQ_BENCH_SLOTS"])  # shared with the children of a prefork pool


def _note(number: int) -> None:
    if noted.cells[number]:
        noted.cells[REPEATED] += 1
    noted.cells[number] = time.monotonic_ns()


@app.task
def note_start(number: int) -> None:
    """Note the time at which task `number` started."""
    _note(number)


class Noting(Task):  # type: ignore[misc]
    """A task that notes its end: Celery calls `after_return` when the outcome is stored."""

    def after_return(self, state: str, value: Any, task_id: str, args: Any, *rest: Any) -> None:
        _note(args[0])


@app.task(base=Noting)
def note_end(number: int) -> None:
    """Do nothing."""
