"""What an operator does with tasks: every verb is one guarded statement."""

from __future__ import annotations

from collections.abc import Sequence

from celery import current_app
from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError

from cq_compat import states
from cq_compat.database import CallersConnection
from cq_compat.encoding import encode_text
from cq_compat.mirror import Outcome, PublishingMirror


def revoked(reason: str) -> Outcome:
    """Return the outcome of a task that was revoked."""
    backend = BaseBackend(current_app)
    exception = backend.prepare_exception(TaskRevokedError(reason))
    return Outcome(states.REVOKED, *encode_text(exception, backend.serializer))


def revoke(task_ids: Sequence[str], reason: str = "revoked") -> int:
    """End tasks that have not; return how many that were."""
    return len(PublishingMirror(CallersConnection()).revoke(list(task_ids), revoked(reason)))


def retry(task_ids: Sequence[str]) -> int:
    """Let finished tasks run once more; return how many will."""
    return len(PublishingMirror(CallersConnection()).requeue(list(task_ids)))
