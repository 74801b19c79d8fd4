"""Waits for tasks to end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from typing import Any

from celery.exceptions import TimeoutError as CeleryTimeoutError
from django.db import connections

from cq_compat.database import alias
from cq_compat.results import Meta, Results

#: Seconds between two looks at a result that is waited for, at first and at most.
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.5


def ended(
    results: Results,
    task_ids: Iterable[str],
    timeout: float | None = None,
    interval: float | None = LONGEST_LOOK,
    on_interval: Callable[[], Any] | None = None,
) -> Iterator[Meta]:
    """Yield the metadata of tasks as they end.

    Args:
        timeout: seconds until it is given up.
        interval: most seconds between two looks.
        on_interval: called before each pause.

    Raises:
        celery.exceptions.TimeoutError: the time is over.
    """
    waiting = list(dict.fromkeys(task_ids))
    looks = _looks(timeout, LONGEST_LOOK if interval is None else interval)
    while waiting:
        found = results.read(waiting, ready=True)
        waiting = [task_id for task_id in waiting if task_id not in found]
        yield from found.values()
        if waiting:
            if on_interval is not None:
                on_interval()
            next(looks)


def warn_of_own_transaction(task_id: str) -> None:
    """Warn if a task was published in the transaction in which it is waited for now."""
    connection = connections[alias()]
    if connection.in_atomic_block and _is_uncommitted(connection, task_id):
        warnings.warn(
            f"Task {task_id} is sent when the transaction around this call commits, so waiting for "
            "its result here waits in vain. Call get() after the transaction.",
            RuntimeWarning,
            stacklevel=6,
        )


def _is_uncommitted(connection: Any, task_id: str) -> bool:
    from cq_compat.database import own_connection

    look = "SELECT 1 FROM cq_task WHERE id = %s"
    if own_connection().fetch(look, [task_id]):
        return False
    with connection.cursor() as cursor:
        cursor.execute(look, [task_id])
        return cursor.fetchone() is not None


def _looks(timeout: float | None, longest: float) -> Iterator[None]:
    """Sleep a little longer each time; raises ``TimeoutError`` when the time is over."""
    deadline = None if timeout is None else monotonic() + timeout
    pause = FIRST_LOOK
    while True:
        left = longest if deadline is None else deadline - monotonic()
        if left <= 0:
            raise CeleryTimeoutError("The operation timed out.")
        sleep(min(pause, left))
        pause = min(pause * 1.5, longest)
        yield
