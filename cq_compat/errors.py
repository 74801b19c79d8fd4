"""Errors of the durable ledger.

CqError
├── DatabaseUnavailable   the tasks' database does not answer; nothing was published
├── TaskNotFinished       the operation is for finished tasks
└── TaskFinished          the operation is for tasks that are not finished
"""

from __future__ import annotations


class CqError(Exception):
    """Base class of every error that this package raises."""


class DatabaseUnavailable(CqError):
    """The tasks' database does not answer, so the task was not accepted; publish it again later."""


class TaskNotFinished(CqError):
    """The task has not ended yet; revoke it first, or wait."""


class TaskFinished(CqError):
    """The task has ended already; retry it to run it again."""
