"""Errors of the durable ledger.

CqError
├── DatabaseUnavailable   the tasks' database does not answer; nothing was published
├── TaskNotFinished       the operation is for finished tasks
├── TaskFinished          the operation is for tasks that are not finished
├── TaskClaimed           the operation is for tasks that wait for a worker
├── MessageMissing        the row has no message that could be sent
├── SubtasksFailed        the task's subtasks have failed
├── PreviousFailed        the task that this one was chained to has failed
├── NotRunningHere        the operation is for the body of the task, and those below it
└── RowsNeeded            the operation is for tasks with rows
"""

from __future__ import annotations

from inspect import cleandoc


class CqError(Exception):
    """Base class of every error that this package raises."""


class DatabaseUnavailable(CqError):
    """The tasks' database does not answer, so the task was not accepted; publish it again later."""


class TaskNotFinished(CqError):
    """The task has not ended yet; revoke it first, or wait."""


class TaskFinished(CqError):
    """The task has ended already; retry it to run it again."""


class TaskClaimed(CqError):
    """A worker has the task, or a keeper sends it anyway; sending it again would change nothing."""


class MessageMissing(CqError):
    """The row was made without a message, by another broker; publish the task anew."""


class SubtasksFailed(CqError):
    """Subtasks of the task have failed. They are named; retry them, or the task itself."""


class PreviousFailed(CqError):
    """The task that this one was chained to has not succeeded, so this one does not run. Chain it
    with ``force=True`` to let it run in any case.
    """


class NotRunningHere(CqError):
    """Only the body of a task may begin subtasks of it, and the bodies of these: the task waits for
    them and cannot have ended. Chain others to it.
    """

    @classmethod
    def of(cls, task: object) -> NotRunningHere:
        """Return the error for a task."""
        return cls(f"{task}: {cleandoc(cls.__doc__ or '')}")


class RowsNeeded(CqError):
    """Subtasks and chained tasks are waited for in their rows, which are kept of what is published
    to ``channels://`` with ``CQ["DURABLE"]``; elsewhere use Celery's chains and chords.
    """

    @classmethod
    def here(cls) -> RowsNeeded:
        """Return the error for this process."""
        return cls(cleandoc(cls.__doc__ or ""))
