"""A task of ``@task`` as the main process of its worker knows it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from celery.worker.request import Request

from cq_compat.database import own_connection


class NativeRequest(Request):  # type: ignore[misc]
    """Celery's, for bodies that are transactions."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """End a task whose time is over.

        SQLite lets nobody write beside the body's transaction, which would have to end with its
        process before this one can write down that it does: Celery asks for it the other way round.
        """
        if not soft and own_connection().vendor == "sqlite":
            self._end_process()
        super().on_timeout(soft, timeout)

    def _end_process(self) -> None:
        if self.worker_pid not in (None, os.getpid()):  # greenlets have no process of their own
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.worker_pid, signal.SIGKILL)
