"""Waits for tasks to end."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from time import monotonic
from typing import Any

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError
from django.db import connections

from cq_compat.database import alias, own_connection
from cq_compat.dialects import dialect_of
from cq_compat.results import Meta, Results
from cq_compat.waking import Waker, waker_of

#: Seconds between two looks at a result that is waited for, at first and at most.
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.5
#: Seconds between two looks at one whose end will be told.
NET = 1.0
#: Seconds until it is worth to be told: most tasks have ended by then.
PATIENCE = 0.1


class Wait:
    """Looks for the ends of tasks, at times that it says; whoever waits sleeps in between.

    Args:
        task_ids: ids, each of which is waited for once.
        timeout: seconds until it is given up.
        interval: most seconds between two looks.
        ring: called from another thread when there is something to see.
    """

    def __init__(
        self,
        app: Celery,
        results: Results,
        task_ids: Iterable[str],
        timeout: float | None,
        interval: float | None,
        ring: Callable[[], object],
    ) -> None:
        self._app = app
        self._results = results
        self._waiting = list(dict.fromkeys(task_ids))
        self._begun = monotonic()
        self._timeout = timeout
        self._longest = LONGEST_LOOK if interval is None else interval
        self._pause = FIRST_LOOK
        self._ring = ring
        self._waker: Waker | None = None
        self._added: list[str] = []
        self._is_told = False

    @property
    def is_over(self) -> bool:
        """Whether all of them have ended."""
        return not self._waiting

    def look(self) -> list[Meta]:
        """Return the metadata of those that have ended since the last look."""
        if not self._is_told and monotonic() - self._begun > PATIENCE:
            self._is_told = self._watch()  # before the look: an end is seen, or told
        found = self._results.read(self._waiting, ready=True)
        self._waiting = [task_id for task_id in self._waiting if task_id not in found]
        return list(found.values())

    def pause(self) -> float:
        """Return the seconds until the next look.

        Raises:
            celery.exceptions.TimeoutError: the time is over.
        """
        pause, self._pause = self._pause, min(1.5 * self._pause, self._longest)
        if self._is_told:
            pause = NET
        if self._timeout is None:
            return pause
        left = self._begun + self._timeout - monotonic()
        if left <= 0:
            raise CeleryTimeoutError("The operation timed out.")
        return min(pause, left)

    def close(self) -> None:
        """Wait no more."""
        if self._waker is not None:
            self._waker.remove(self._added, self._ring)

    def _watch(self) -> bool:
        if not dialect_of(own_connection().vendor).has_returning:
            return False  # whoever ends a task could not see that it is watched
        if own_connection().vendor == "sqlite" and connections[alias()].in_atomic_block:
            return False  # a write beside the caller's transaction would wait for its end
        if self._waker is None:
            self._waker, self._added = waker_of(self._app), self._waiting
            self._waker.add(self._added, self._ring)
        return self._waker.watch(self._waiting)


def ended(
    app: Celery,
    results: Results,
    task_ids: Iterable[str],
    timeout: float | None,
    interval: float | None,
    on_interval: Callable[[], Any] | None,
) -> Iterator[Meta]:
    """Yield the metadata of tasks as they end; after each look ``on_interval`` is called.

    Raises:
        celery.exceptions.TimeoutError: the time is over.
    """
    bell = threading.Event()
    with closing(Wait(app, results, task_ids, timeout, interval, bell.set)) as wait:
        while not wait.is_over:
            found = wait.look()
            if on_interval is not None:
                on_interval()  # before an end, too: it raises what has failed before it
            yield from found
            if not wait.is_over:
                bell.wait(wait.pause())
                bell.clear()


def warn_of_own_transaction(task_id: str) -> None:
    """Warn if a task was published in the transaction in which it is waited for now."""
    connection = connections[alias()]
    if connection.in_atomic_block and _is_uncommitted(connection, task_id):
        warnings.warn(
            f"Task {task_id} is sent when the transaction around this call commits, so waiting for "
            "its result here waits in vain. Call get() after the transaction.",
            RuntimeWarning,
            stacklevel=5,
        )


def _is_uncommitted(connection: Any, task_id: str) -> bool:
    look = "SELECT 1 FROM cq_task WHERE id = %s"
    if own_connection().fetch(look, [task_id]):
        return False
    with connection.cursor() as cursor:
        cursor.execute(look, [task_id])
        return cursor.fetchone() is not None
