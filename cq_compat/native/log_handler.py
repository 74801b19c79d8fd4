"""Python's ``logging``, for tasks."""

from __future__ import annotations

import logging
from typing import Any

from celery.utils.log import task_logger

from cq_compat.conf import conf
from cq_compat.native.logs import Logging
from cq_compat.native.running import current_task


class TaskLogHandler(logging.Handler):
    """Keeps records with the task whose body has logged them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; those that no body has logged are for other handlers."""
        try:
            task = current_task()
            if isinstance(task, Logging):
                task.keep(record, self.format(record))
        except Exception:
            self.handleError(record)


_handler = TaskLogHandler()


def attach(task: Any) -> None:
    """Let the loggers of ``get_task_logger`` have the handler, once the worker has set up its
    logging: Celery leaves a logger alone that has one.
    """
    if _handler not in task_logger.handlers and conf().LOG_LINES and not task.request.is_eager:
        task_logger.addHandler(_handler)
