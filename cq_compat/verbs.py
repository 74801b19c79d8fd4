"""What may be done with one task; whoever asks in vain is told why."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from django.db import models

from cq_compat.errors import CqError, MessageMissing, TaskClaimed, TaskFinished, TaskNotFinished


class TaskVerbs(models.Model):
    """The verbs of ``Task``; the object is read anew after each."""

    state: Any
    finished_at: Any

    class Meta:
        abstract = True

    def retry(self) -> None:
        """Let the finished task run once more from the beginning.

        Raises:
            TaskNotFinished: it has not ended.
            MessageMissing: the row has nothing to send.
        """
        from cq_compat.operations import retry

        if not retry([self.pk]):
            raise self._reason(MessageMissing if self._now_finished() else TaskNotFinished)
        self.refresh_from_db()

    def requeue(self) -> None:
        """Send the waiting task's message again.

        Raises:
            TaskFinished: it has ended.
            TaskClaimed: a worker has it, or it is to be sent anyway.
        """
        from cq_compat.operations import requeue

        if not requeue([self.pk]):
            raise self._reason(TaskFinished if self._now_finished() else TaskClaimed)
        self.refresh_from_db()

    def revoke(
        self, reason: str = "revoked", *, terminate: bool = False, signal: str = "SIGTERM"
    ) -> None:
        """End the task; with ``terminate`` its body too, if it runs.

        Raises:
            TaskFinished: it has ended already.
        """
        from cq_compat.operations import revoke

        if not revoke([self.pk], reason, terminate=terminate, signal=signal):
            raise self._reason(TaskFinished)
        self.refresh_from_db()

    def forget(self) -> None:
        """Delete the finished task with its result.

        Raises:
            TaskNotFinished: it has not ended.
        """
        from cq_compat.operations import forget

        if not forget([self.pk]):
            raise self._reason(TaskNotFinished)

    def _now_finished(self) -> bool:
        self.refresh_from_db()
        return self.finished_at is not None

    def _reason(self, error: type[CqError]) -> CqError:
        return error(f"{self} is {self.state}. {cleandoc(error.__doc__ or '')}")
