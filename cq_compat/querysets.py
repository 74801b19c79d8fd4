"""Questions about tasks and workers, and what an operator may do with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import models

from cq_compat import states
from cq_compat.clock import Now


class TaskQuerySet(models.QuerySet[Any]):
    """Tasks."""

    def live(self) -> TaskQuerySet:
        """Return tasks that have not ended."""
        return self.filter(finished_at__isnull=True)

    def finished(self) -> TaskQuerySet:
        """Return tasks that have ended."""
        return self.filter(finished_at__isnull=False)

    def waiting(self) -> TaskQuerySet:
        """Return tasks that wait for a worker, and not for other tasks."""
        return self.live().filter(owner__isnull=True, waiting_since__isnull=True, is_held=False)

    def parents(self) -> TaskQuerySet:
        """Return tasks that wait for their subtasks."""
        return self.live().filter(waiting_since__isnull=False)

    def failed(self) -> TaskQuerySet:
        """Return tasks that have ended without a result."""
        return self.filter(ended_as__isnull=False).exclude(ended_as=states.IGNORED)

    def older_than(self, age: timedelta) -> TaskQuerySet:
        """Return tasks that ended longer ago than ``age``, by the database's clock."""
        return self.filter(finished_at__lt=Now() - age)

    def retry(self) -> int:
        """Let finished tasks run once more from the beginning; return how many will."""
        from cq_compat.operations import retry

        return self._each(retry)

    def requeue(self) -> int:
        """Send the messages of waiting tasks again; return how many will be sent."""
        from cq_compat.operations import requeue

        return self._each(requeue)

    def revoke(
        self, reason: str = "revoked", *, terminate: bool = False, signal: str = "SIGTERM"
    ) -> int:
        """End tasks that have not: they will not start, and what a body that runs already returns
        is refused; with ``terminate`` it is ended. Return how many that were.
        """
        from cq_compat.operations import revoke

        return self._each(lambda ids: revoke(ids, reason, terminate=terminate, signal=signal))

    def forget(self) -> int:
        """Delete finished tasks with their results; return how many there were."""
        from cq_compat.operations import forget

        return self._each(forget)

    def _each(self, verb: Callable[[Sequence[str]], list[str]]) -> int:
        return len(verb(list(self.values_list("pk", flat=True))))


class TaskLogQuerySet(models.QuerySet[Any]):
    """Lines of logs."""

    def of(self, task: Any) -> TaskLogQuerySet:
        """Return the lines of a task; of a top task those of all tasks below it, too."""
        try:
            root_id = task.root_id
        except ObjectDoesNotExist:  # of a handle to a task that has no row, or none yet
            root_id = None
        if root_id in (None, task.pk):
            return self.filter(root_id=task.pk)
        return self.filter(task_id=task.pk)


class WorkerQuerySet(models.QuerySet[Any]):
    """Workers."""

    def alive(self) -> WorkerQuerySet:
        """Return workers whose lease is valid."""
        return self.filter(stopped_at__isnull=True, lease_until__gt=Now())

    def dead(self) -> WorkerQuerySet:
        """Return workers that have stopped, or are not heard of any more."""
        return self.exclude(pk__in=self.alive())


class RowManager(models.Manager[Any]):
    """Rows of the database that has the tasks, which is not always the default."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all of them."""
        from cq_compat.database import alias

        return super().get_queryset().using(alias())


TaskManager = RowManager.from_queryset(TaskQuerySet, "TaskManager")
TaskLogManager = RowManager.from_queryset(TaskLogQuerySet, "TaskLogManager")
WorkerManager = RowManager.from_queryset(WorkerQuerySet, "WorkerManager")
