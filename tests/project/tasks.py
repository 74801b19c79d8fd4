"""Tasks that acceptance tests run and watch."""

import os
import time
from pathlib import Path
from typing import Any

from celery import Task, current_app, shared_task

RECORD = "CQ_TEST_RECORD"  # the environment variable that names the file of records


def write_record(task_id: str, event: str, *, sync: bool = True) -> None:
    """Append the line `task_id event` to the file of records, and on to the disk if `sync`."""
    descriptor = os.open(os.environ[RECORD], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{task_id} {event}\n".encode())  # one write: lines never mix
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@shared_task
def noop(*args: Any, **kwargs: Any) -> None:
    """Do nothing."""


@shared_task
def add(x: float, y: float) -> float:
    """Return the sum."""
    return x + y


@shared_task
def total(numbers: list[float]) -> float:
    """Return the sum of a chord's parts."""
    return sum(numbers)


@shared_task
def echo(payload: Any) -> Any:
    """Return the argument."""
    return payload


@shared_task
def length(payload: str | bytes | list[Any]) -> int:
    """Return how long the argument is."""
    return len(payload)


@shared_task
def sleep(seconds: float) -> float:
    """Sleep, and return for how long."""
    time.sleep(seconds)
    return seconds


@shared_task(bind=True)
def record(self: Task, event: str = "run") -> str:
    """Record `event`."""
    write_record(self.request.id, event)
    return event


@shared_task(bind=True)
def note(self: Task, event: str = "run") -> None:
    """Record `event` at little cost: it outlives the process, not the machine."""
    write_record(self.request.id, event, sync=False)


@shared_task(bind=True)
def where(self: Task) -> None:
    """Record the name of the worker."""
    write_record(self.request.id, self.request.hostname, sync=False)


@shared_task(bind=True)
def hold(self: Task, gate: str) -> int:
    """Record `start`, wait until the file `gate` exists, and return the id of the process."""
    return _hold(self, gate)


@shared_task(bind=True, acks_late=True)
def hold_late(self: Task, gate: str) -> int:
    """Do as `hold`, with the message acknowledged after the body."""
    return _hold(self, gate)


@shared_task(bind=True)
def work(self: Task, seconds: float = 0.0) -> int:
    """Record `start`, sleep, record `end`, and return the id of the process."""
    return _work(self, seconds)


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def work_late(self: Task, seconds: float = 0.0) -> int:
    """Do as `work`, with the message acknowledged after the body."""
    return _work(self, seconds)


@shared_task(bind=True)
def trace(self: Task, seconds: float = 0.0, gate: str = "") -> None:
    """Record `start RUN FENCE`, sleep, wait until the file `gate` exists, and record `end`."""
    _trace(self, seconds, gate)


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def trace_late(self: Task, seconds: float = 0.0, gate: str = "") -> None:
    """Do as `trace`, with the message acknowledged after the body."""
    _trace(self, seconds, gate)


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def poison(self: Task) -> None:
    """Record `start` and end the process that runs the task, whenever it runs."""
    _trace_event(self, "start")
    os._exit(1)


@shared_task
def fail(message: str = "failed on purpose") -> None:
    """Raise a ValueError."""
    raise ValueError(message)


@shared_task(bind=True)
def retry(self: Task, times: int, countdown: float = 0.0) -> int:
    """Retry so many times, then return how many attempts that took; each is recorded."""
    write_record(self.request.id, f"attempt-{self.request.retries}")
    if self.request.retries < times:
        raise self.retry(countdown=countdown, max_retries=times)
    return int(self.request.retries) + 1


@shared_task
def spawn(count: int, name: str = "tests.project.tasks.noop", **options: Any) -> list[str]:
    """Publish `count` tasks from inside this one and return their ids."""
    return [current_app.send_task(name, **options).id for _ in range(count)]


@shared_task(bind=True)
def describe(self: Task) -> dict[str, Any]:
    """Return what the worker knows of the message: process, queue, priority, redelivery."""
    return {
        "pid": os.getpid(),
        "hostname": self.request.hostname,
        "delivery_info": self.request.delivery_info,
        "headers": self.request.headers,
    }


@shared_task
def crash() -> None:
    """End the process that runs the task, at once."""
    os._exit(1)


def _hold(task: Task, gate: str) -> int:
    write_record(task.request.id, "start", sync=False)
    while not Path(gate).exists():
        time.sleep(0.01)
    return os.getpid()


def _work(task: Task, seconds: float) -> int:
    write_record(task.request.id, "start")
    time.sleep(seconds)
    write_record(task.request.id, "end")
    return os.getpid()


def _trace(task: Task, seconds: float, gate: str) -> None:
    _trace_event(task, "start")
    time.sleep(seconds)
    while gate and not Path(gate).exists():
        time.sleep(0.01)
    _trace_event(task, "end")


def _trace_event(task: Task, event: str) -> None:
    claim = task.request.get("cq") or {}
    write_record(
        task.request.id, f"{event} {claim.get('run', 0)} {claim.get('fence', 0)}", sync=False
    )
