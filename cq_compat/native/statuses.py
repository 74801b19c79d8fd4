"""The states of a task under the names that django-cq's readers know."""

from __future__ import annotations

from cq_compat import states


class Statuses:
    """The values of ``Task.status``: Celery's states, and ``WAITING``."""

    STATUS_PENDING = states.PENDING
    STATUS_QUEUED = states.RECEIVED
    STATUS_RUNNING = states.STARTED
    STATUS_RETRY = states.RETRY
    STATUS_WAITING = states.WAITING
    STATUS_SUCCESS = STATUS_COMPLETE = states.SUCCESS
    STATUS_FAILURE = STATUS_INCOMPLETE = STATUS_LOST = states.FAILURE
    STATUS_REVOKED = states.REVOKED
    STATUS_DONE = states.FINISHED
    STATUS_ERROR = states.FINISHED - {states.SUCCESS, states.IGNORED}
    STATUS_ACTIVE = frozenset(
        {states.PENDING, states.RECEIVED, states.STARTED, states.RETRY, states.WAITING}
    )


def words_of(error: object) -> str:
    """Return what a task has failed with in words."""
    return str(error) or type(error).__name__
