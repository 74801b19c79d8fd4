"""A worker of every pool on one broker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import celery
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
#: Before Celery 5.7 these note late that bodies have begun, and forget it when the worker ends.
FORGETFUL = ("gevent", "eventlet") if celery.VERSION < (5, 7) else ()
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


def prove_hand_back(
    app: Celery, project: Project, fleet: Fleet, gate: Path
) -> dict[str, list[str]]:
    """End the workers in the middle of tasks: what they have not begun is in its queue again.

    Return the records of what they have begun, which waits for the file `gate` first.
    """
    ids = {name: publish(app, 80, f"{TASKS}.hold", str(gate), queue=name) for name in POOLS}
    wait_until(lambda: all(project.records().keys() & set(one) for one in ids.values()), 60)

    for worker in fleet.values():
        worker.signal(signal.SIGTERM)
    for worker in fleet.values():
        worker.wait_log("Warm shutdown")
    gate.touch()
    assert {name: worker.wait() for name, worker in fleet.items()} == dict.fromkeys(POOLS, 0)

    records, found = project.records(), {}
    for name, all_ids in ids.items():
        begun, back = [key for key in all_ids if key in records], taken(app, name)
        assert back, f"{name} has run everything"
        if name in FORGETFUL:
            back = [key for key in back if key not in records]
        missing, twice = set(all_ids) - {*begun, *back}, len(begun) + len(back) - len(all_ids)
        assert sorted(begun + back) == sorted(all_ids), f"{name}: {missing} missing, {twice:+}"
        found.update({key: records[key] for key in begun})
    return found
