"""The Celery app of both sides, with a task that notes when it started and does nothing else."""

import os
import time

from celery import Celery

from benchmarks.slots import REPEATED, Slots

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

app = Celery("benchmarks")
app.config_from_object("django.conf:settings", namespace="CELERY")

started = Slots(os.environ["CQ_BENCH_SLOTS"])  # shared with the children of a prefork pool


@app.task
def note_start(number: int) -> None:
    """Note the time at which task `number` started."""
    if started.cells[number]:
        started.cells[REPEATED] += 1
    started.cells[number] = time.monotonic_ns()
