"""A task as whoever has published it sees it: its status, its result, its end."""

from __future__ import annotations

from typing import Any

from celery import current_app
from celery.result import AsyncResult
from django.db import models

from cq_compat import states
from cq_compat.asynchronous import aget
from cq_compat.native.statuses import Statuses, words_of

#: The columns that change until a task has ended.
_LIVE = frozenset({"state", "finished_at", "encoded_result", "content_type", "traceback", "worker"})


class TaskHandle(Statuses, models.Model):
    """The names that django-cq's readers know of a ``Task``.

    Columns are what they were when the object was read; ``status``, ``result`` and ``error`` look
    again until the task has ended, and read the columns anew.
    """

    state: Any
    finished_at: Any

    class Meta:
        abstract = True

    @property
    def status(self) -> str:
        """The state by now."""
        return str(self.state) if self._look() else str(self.async_result.state)

    @property
    def result(self) -> Any:
        """What the body has returned; ``None`` before its end, and of a task that has failed."""
        has_value = self.status in (states.SUCCESS, states.WAITING)
        return self.async_result.result if has_value else None

    @property
    def error(self) -> str | None:
        """What the task has failed with, in words; ``None`` of one that has not."""
        if self.status not in self.STATUS_ERROR:
            return None
        return words_of(self.async_result.result)

    @property
    def async_result(self) -> AsyncResult:
        """Celery's object for the same task."""
        return current_app.AsyncResult(self.pk)

    def wait(self, timeout: float | None = None, *, propagate: bool = True) -> Any:
        """Wait for the task to end, and return its result.

        Args:
            timeout: seconds until it is given up.
            propagate: raise the error of a task that has failed; otherwise it is returned.

        Raises:
            celery.exceptions.TimeoutError: the time is over.
        """
        try:
            return self.async_result.get(timeout=timeout, propagate=propagate)
        finally:
            self._look()

    async def aresult(self, timeout: float | None = None, *, propagate: bool = True) -> Any:
        """Wait for the task to end without holding up the event loop, and return its result."""
        return await aget(self.async_result, timeout, propagate=propagate)

    def _look(self) -> bool:
        """Read anew what may have changed; tell whether there is a row."""
        loaded = self.__dict__
        if loaded.get("finished_at") is None:
            fields = {"state", "finished_at"} | (_LIVE & loaded.keys())
            try:
                self.refresh_from_db(fields=fields)
            except type(self).DoesNotExist:  # published without a row, or in another transaction
                return False
        return True
