"""Tasks that say what they do."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Task as CeleryTask
from celery import shared_task
from celery.utils.log import get_task_logger
from django.db import transaction

from cq_compat import current_task, task
from cq_compat.models import Task, Worker
from tests.project.tasks import write_record

logger = get_task_logger(__name__)


@task
def tell(task: Task, gate: str) -> str:
    """Say something, wait until the file `gate` exists, and say more."""
    return _tell(task, gate)


@task(atomic=False)
def tell_freely(task: Task, gate: str) -> str:
    """Do as `tell`, without a transaction."""
    return _tell(task, gate)


@task(atomic=False, acks_late=True, reject_on_worker_lost=True)
def tell_again(task: Task, gate: str) -> str:
    """Do as `tell_freely`, and once more if the worker dies."""
    return _tell(task, gate)


@task
def tell_and_fail(task: Task) -> None:
    """Write a row, say so, and fail."""
    Worker.objects.filter(hostname="nobody").update(pid=1)
    task.log("written", logging.WARNING)
    task.progress(1, 2)
    raise ValueError("undone")


@shared_task
def use_loggers() -> None:
    """Say something by loggers, once in each way."""
    logger.warning("from %s", "a logger")
    here: Any = current_task()
    here.log("from the task", logging.ERROR)
    logging.getLogger("elsewhere").error("from no task's logger")
    try:
        raise KeyError("caught")
    except KeyError:
        logger.exception("with a traceback")


@shared_task
def track(count: int) -> int:
    """Go through so many items."""
    here: Any = current_task()
    return sum(here.track(range(count), message="adding"))


@shared_task(bind=True)
def use_states(self: CeleryTask, gate: str) -> None:
    """Say by Celery's own state how far this is, within a transaction that has written."""
    with transaction.atomic():
        Worker.objects.filter(hostname="nobody").update(pid=1)
        self.update_state(state="PROGRESS", meta={"current": 1, "total": 4, "status": "adding"})
    _wait(gate)


@shared_task
def flood(count: int) -> None:
    """Log more than is kept."""
    here: Any = current_task()
    for number in range(count):
        here.log(number, logging.DEBUG)


@task(atomic=False)
def limit(task: Task) -> None:
    """Hold lines back, and keep the last of them."""
    for number in range(100):
        task.log(number, publish=False, limit=10)
    task.log("done")


@task
def call_others(task: Task, names: Sequence[str]) -> list[str]:
    """Say something, and publish tasks that do."""
    task.log("above")
    return [say.delay(name).id for name in names]


@shared_task
def say(text: str) -> None:
    """Say something."""
    here: Any = current_task()
    here.log(text)


@shared_task(bind=True)
def say_without_database(self: CeleryTask, gate: str, count: int) -> None:
    """Record `start`, wait until the file `gate` exists, log, and record `end`."""
    here: Any = current_task()
    write_record(self.request.id, "start")
    _wait(gate)
    for number in here.track(range(count)):
        here.log(number, logging.DEBUG)
    write_record(self.request.id, "end")


def _tell(task: Task, gate: str) -> str:
    task.log("begun")
    task.progress(1, 4, "reading")
    _wait(gate)
    task.log("done", logging.WARNING)
    task.progress(4, 4)
    return "told"


def _wait(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.01)
