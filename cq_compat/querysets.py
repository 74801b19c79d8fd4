"""Questions about tasks and workers, and what an operator may do with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import models
from django.db.models.functions import Now

from cq_compat import states

#: Rows changed or deleted by one statement.
CHUNK = 1000


class TaskQuerySet(models.QuerySet[Any]):
    """Tasks."""

    def live(self) -> TaskQuerySet:
        """Return tasks that have not ended."""
        return self.filter(finished_at__isnull=True)

    def finished(self) -> TaskQuerySet:
        """Return tasks that have ended."""
        return self.filter(finished_at__isnull=False)

    def waiting(self) -> TaskQuerySet:
        """Return tasks that wait for a worker."""
        return self.live().filter(owner__isnull=True)

    def failed(self) -> TaskQuerySet:
        """Return tasks that have ended without a result."""
        return self.finished().exclude(state__in=[states.SUCCESS, states.IGNORED])

    def older_than(self, age: timedelta) -> TaskQuerySet:
        """Return tasks that ended longer ago than ``age``, by the database's clock."""
        return self.filter(finished_at__lt=Now() - age)

    def revoke(self, reason: str = "revoked") -> int:
        """End tasks that have not: they will not start, and what a body that runs already returns
        is refused. Return how many that were.
        """
        from cq_compat.operations import revoke

        return sum(revoke(ids, reason) for ids in self._chunks())

    def retry(self) -> int:
        """Let finished tasks run once more from the beginning; return how many will."""
        from cq_compat.operations import retry

        return sum(retry(ids) for ids in self.finished()._chunks())

    def requeue(self) -> int:
        """Send the messages of waiting tasks again; return how many will be sent."""
        return self.waiting().exclude(message="").update(sent_at=None, due_at=Now())

    def forget(self) -> int:
        """Delete finished tasks with their results, some at a time; return how many there were."""
        return sum(
            self.model._base_manager.using(self.db).filter(pk__in=ids).finished().delete()[0]
            for ids in self.finished()._chunks()
        )

    def _chunks(self) -> Iterator[list[str]]:
        ids = iter(list(self.values_list("pk", flat=True)))
        while chunk := list(islice(ids, CHUNK)):
            yield chunk


class WorkerQuerySet(models.QuerySet[Any]):
    """Workers."""

    def alive(self) -> WorkerQuerySet:
        """Return workers whose lease is valid."""
        return self.filter(stopped_at__isnull=True, lease_until__gt=Now())

    def dead(self) -> WorkerQuerySet:
        """Return workers that have stopped, or are not heard of any more."""
        return self.exclude(pk__in=self.alive())
