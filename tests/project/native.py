"""Tasks of `@task`, each of which shows one of its options."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import chain, chord, group, shared_task
from celery import current_task as celery_task
from django.db import connection, transaction

from cq_compat import current_task, task
from tests.project.tasks import add, total, write_record

QUEUE = "mail"


@task
def send_email(task: Any, addr: str) -> str:
    """Be the first example of django-cq's README."""
    return "OK"


@task
def calc_a(task: Any, number: int) -> int:
    """Return ten times the number."""
    return 10 * number


@task
def fails(task: Any, message: str = "on purpose") -> None:
    """Write an effect, and fail."""
    write_effect(task.id)
    raise ValueError(message)


@task(atomic=False)
def fails_with_effect(task: Any) -> None:
    """Write an effect outside of a transaction, and fail."""
    write_effect(task.id)
    raise ValueError("on purpose")


@task
def has_effect(task: Any, gate: str = "") -> str:
    """Record `start`, wait until the file `gate` exists, and write an effect."""
    write_record(task.id, "start", sync=False)
    wait_for(gate)
    write_effect(task.id)
    return str(task.id)


@task(acks_late=True, reject_on_worker_lost=True)
def has_late_effect(task: Any, gate: str = "") -> str:
    """Write an effect, and wait until the file `gate` exists; a dead worker's runs again."""
    write_effect(task.id)
    write_record(task.id, "start", sync=False)
    time.sleep(0.05)
    wait_for(gate)
    return str(task.id)


@task(acks_late=True, reject_on_worker_lost=True)
def dies_after_commit(task: Any) -> str:
    """Write an effect, and end the process when it is committed, wherever the task runs."""
    write_effect(task.id)
    transaction.on_commit(lambda: os._exit(1))
    return str(task.id)


@task(retries=2, retry_on=ValueError, retry_backoff=False, default_retry_delay=0)
def fails_at_first(task: Any, times: int, error: str = "ValueError") -> int:
    """Write an effect, and fail so many times."""
    write_effect(task.id)
    write_record(task.id, f"attempt-{task.retries}")
    if task.retries < times:
        raise {"ValueError": ValueError, "KeyError": KeyError}[error]("not yet")
    return int(task.retries) + 1


@task(retries=1, retry_backoff=False, default_retry_delay=0)
def fails_at_commit(task: Any) -> None:
    """Write an effect, and at first what the database refuses when it is committed."""
    write_effect(task.id)
    if task.retries == 0:
        write_refused()


@task
def asks_for_retry(task: Any) -> int:
    """Write an effect, and ask Celery once for another attempt."""
    write_effect(task.id)
    if task.retries == 0:
        raise celery_task.retry(countdown=0)
    return int(task.retries) + 1


#: What may run in a task's place, and its result.
REPLACEMENTS: dict[str, tuple[Callable[[], Any], Any]] = {
    "task": (lambda: calc_a.s(3), 30),
    "chain": (lambda: chain(add.s(1, 2), calc_a.s()), 30),
    "group": (lambda: group(calc_a.s(1), calc_a.s(2)), [10, 20]),
    "chord": (lambda: chord([calc_a.s(1), calc_a.s(2)], total.s()), 30),
}


@task
def replaces_itself(task: Any, way: str = "chain") -> None:
    """Write an effect, and let one of `REPLACEMENTS` run in the task's place."""
    write_effect(task.id)
    raise celery_task.replace(REPLACEMENTS[way][0]())


@task
def is_replaced(task: Any, way: str, gate: str) -> None:
    """Do the same once the file `gate` exists."""
    write_record(task.id, "start", sync=False)
    write_effect(task.id)
    wait_for(gate)
    raise celery_task.replace(REPLACEMENTS[way][0]())


@task(retries=1, retry_backoff=False, default_retry_delay=0)
def is_replaced_by_second_commit(task: Any) -> None:
    """Be replaced as by `replaces_itself`; the first commit fails."""
    write_effect(task.id)
    if task.retries == 0:
        write_refused()
    raise celery_task.replace(REPLACEMENTS["chain"][0]())


@task(retries=1, retry_backoff=False, default_retry_delay=0)
def adds_to_its_chord(task: Any, *, is_replaced: bool) -> int:
    """Let the chord have one more part, and 20 be the result; the first commit fails."""
    celery_task.add_to_chord(calc_a.s(5))
    if task.retries == 0:
        write_refused()
    if is_replaced:
        raise celery_task.replace(calc_a.s(2))
    return 20


@task
def undoes_all_and_is_replaced(task: Any) -> None:
    """Write an effect, undo it, and let another one run in the task's place."""
    write_effect(task.id)
    transaction.set_rollback(True)
    raise celery_task.replace(calc_a.s(3))


@task(acks_late=True, reject_on_worker_lost=True)
def dies_when_replaced(task: Any, way: str) -> None:
    """Do the same, and end the process, once, when that is committed."""
    if task.deaths == 0:
        transaction.on_commit(lambda: os._exit(1))
    write_effect(task.id)
    raise celery_task.replace(REPLACEMENTS[way][0]())


@task(acks_late=True, reject_on_worker_lost=True)
def kills_its_worker_when_replaced(task: Any, way: str) -> None:
    """Do the same, and kill the process group of the worker."""
    if task.deaths == 0:
        transaction.on_commit(lambda: os.killpg(0, signal.SIGKILL))
    write_effect(task.id)
    raise celery_task.replace(REPLACEMENTS[way][0]())


@task(queue=QUEUE)
def is_mail(task: Any) -> str:
    """Return the queue."""
    return str(celery_task.request.delivery_info["routing_key"])


@task(ttl=0.001)
def comes_too_late(task: Any) -> None:
    """Never run, if it is published with a countdown."""
    write_record(task.id, "run")


@task(name="tests.report", coalesce=True, atomic=False)  # SQLite has one transaction at a time
def report(task: Any, gate: str) -> str:
    """Wait until the file `gate` exists."""
    wait_for(gate)
    return str(task.id)


@task(coalesce=lambda user, gate: user, atomic=False)
def report_of(task: Any, user: str, gate: str) -> str:
    """Wait until the file `gate` exists."""
    wait_for(gate)
    return user


@task
def publishes_shared(task: Any) -> str:
    """Publish a task of `@shared_task`, and return its id."""
    return str(add.delay(1, 2).id)


@shared_task
def publishes_native() -> tuple[str, str]:
    """Publish a task of `@task`; return its id and that of the task that runs."""
    running = current_task()
    assert running is not None and current_task() is running
    return str(calc_a.delay(3).id), str(running.id)


@task
def calls_another(task: Any) -> tuple[int, bool]:
    """Call another task; tell whether the running one is the same afterwards."""
    value = calc_a(4)
    return value, current_task() is task


@task
def publishes_and_fails(task: Any, record: str) -> None:
    """Publish a task, and fail."""
    Path(record).write_text(str(calc_a.delay(1).id))
    raise ValueError("on purpose")


def write_effect(task_id: str) -> None:
    """Write what a body writes."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effect (task_id) VALUES (%s)", [task_id])


def write_refused() -> None:
    """Write what the database refuses when it is committed."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO owned (owner) VALUES (1)")


def wait_for(gate: str) -> None:
    """Wait until a file exists."""
    while gate and not Path(gate).exists():
        time.sleep(0.01)
