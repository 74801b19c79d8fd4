"""A worker of every pool on one broker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery

from tests.servers.project import Project
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

POOLS = {
    "solo": ("--pool=solo",),
    "prefork": ("--pool=prefork", "-c", "2"),
    "threads": ("--pool=threads", "-c", "4"),
    "gevent": ("--pool=gevent", "-c", "8"),
    "eventlet": ("--pool=eventlet", "-c", "8"),
}
NODES = {f"{pool}@test" for pool in POOLS}
TASKS = "tests.project.tasks"
NOTE = f"{TASKS}.note"
#: How long publishers put up with a broker that restarts.
PATIENT = {"interval_start": 0.05, "interval_step": 0, "max_retries": 400}
Fleet = dict[str, CeleryWorker]


@contextmanager
def running(project: Project) -> Iterator[Fleet]:
    """Run a worker of each pool, named after it, on the common queue and on one of its own."""
    with ExitStack() as stack:
        workers = {
            pool: project.worker(*arguments, "-Q", f"celery,{pool}", nodename=f"{pool}@test")
            for pool, arguments in POOLS.items()
        }
        for worker in workers.values():
            stack.callback(worker.close)
            worker.launch()
        for worker in workers.values():
            worker.wait_ready()
        yield workers
        for worker in workers.values():  # so that they end at the same time
            if worker.running:
                worker.signal(signal.SIGTERM)


def publish(app: Celery, count: int, name: str = NOTE, *args: Any, **options: Any) -> list[str]:
    """Publish tasks, patiently, and return their ids."""
    return [
        app.send_task(name, args, retry=True, retry_policy=PATIENT, **options).id
        for _ in range(count)
    ]


def taken(app: Celery, queue: str) -> list[str]:
    """Take what waits in a queue, and return the ids of the tasks."""
    ids = []
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            ids.append(message.headers["id"])
    return ids


def wait_for_more(project: Project, before: AbstractSet[str], count: int = 1) -> None:
    """Return when `count` tasks that are not in `before` have run."""
    wait_until(
        lambda: len(project.records().keys() - before) >= count, 30, f"{count} more tasks to run"
    )
