"""The logs of tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery.utils.log import get_task_logger

from cq_compat.conf import conf
from cq_compat.native.journal import Journaled

#: The attribute of a record that came from ``Task.log``, which has kept it.
_KEPT = "cq_kept"


class Logging(Journaled):
    """A task that logs."""

    name: Any

    def log(
        self,
        message: Any,
        level: int = logging.INFO,
        *,
        publish: bool = True,
        limit: int | None = None,
    ) -> None:
        """Log a line: by Python's ``logging``, and for whoever looks at the task.

        Args:
            level: one of ``logging``.
            publish: if false, hold the line back until the next one that is published, or the end
                of the body.
            limit: how many lines of this body are kept from now on, the last ones; at most those of
                ``CQ["LOG_LINES"]``.
        """
        name = str(self.name)
        self._keep(str(message), level, name, publish, limit)
        get_task_logger(name).log(level, "%s", message, extra={_KEPT: True})

    def keep(self, record: logging.LogRecord, text: str) -> None:
        """Keep a record that a logger has got, unless it has got it from ``log``."""
        if not hasattr(record, _KEPT):
            setattr(record, _KEPT, True)  # more than one handler may ask
            self._keep(text, record.levelno, record.name, publish=True)

    @property
    def logs(self) -> Iterable[Any]:
        """The lines that are kept, in their order."""
        return self._journal.held

    def _keep(
        self, text: str, level: int, logger: str, publish: bool, limit: int | None = None
    ) -> None:
        most = conf().LOG_LINES
        kept = most if limit is None else min(limit, most)
        if kept > 0:
            self._journal.log(text, level, logger, kept)
            if publish:
                self._publish()
