"""Tasks of `@task` with options of Celery's, and what else one does with tasks."""

import logging
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from cq_compat import task
from tests.project.native import QUEUE, calc_a, dies_after_commit, wait_for, write_effect
from tests.project.tasks import add, write_record

#: Where the project's settings send `is_routed`, and to whose logger they give a handler.
ROUTES = {"tests.project.options.is_routed": {"queue": QUEUE}}
LOGGER = "tests.plain"
NEVER = "/there is no such file"


@task
def is_routed(task: Any) -> str:
    """Return the queue."""
    return str(task.queue)


@task(soft_time_limit=1, atomic=False)
def is_warned(task: Any) -> str:
    """Go on until the soft limit, and return."""
    try:
        wait_for(NEVER)
    except SoftTimeLimitExceeded:
        return "warned"
    return "not warned"


@task(time_limit=1, atomic=False)
def is_stopped(task: Any) -> None:
    """Go on until the limit."""
    wait_for(NEVER)


@task(time_limit=1)
def is_undone(task: Any) -> None:
    """Write an effect, and go on until the limit."""
    write_effect(task.id)
    wait_for(NEVER)


@task(result_ttl=0.001)
def is_soon_forgotten(task: Any) -> None:
    """End."""


@task(result_ttl=None)
def is_kept(task: Any) -> None:
    """End."""


@task
def needs(task: Any, path: str) -> str:
    """Fail while a file is not there."""
    write_effect(task.id)
    return Path(path).read_text()


@task
def leave_record(task: Any) -> None:
    """Record that it has run."""
    write_record(task.id, "run")


@task
def described(task: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Return the queue and the arguments."""
    return [task.queue, list(args), kwargs]


@task
def begins_each_kind(task: Any) -> dict[str, str]:
    """Begin subtasks in each way, and return their ids."""
    begun = {
        "one": task.subtask(described, "one"),
        "all": task.subtask(described, (1, 2), {"three": 3}, queue=QUEUE),
        "celery": task.subtask(add, (1, 2)),
        "signature": task.subtask(add.s(3, 4).set(queue=QUEUE)),
        "more": task.subtask(described.s(5), (6,), {"seven": 7}),
        "next": task.subtask(calc_a, 1).chain(described, (2,), {"three": 3}, queue=QUEUE),
    }
    return {kind: one.id for kind, one in begun.items()}


@task
def has_dying(task: Any) -> str:
    """Begin a subtask whose process ends with it."""
    return str(task.subtask(dies_after_commit).id)


@task
def uses_plain_loggers(task: Any) -> None:
    """Log by a logger that has the handler, and by one that has none."""
    logging.getLogger(LOGGER).warning("from %s", "a plain logger")
    logging.getLogger("tests.other").warning("from another")
