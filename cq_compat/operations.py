"""What an operator does with tasks.

Each verb takes ids, is one guarded statement for a thousand of them, and returns the ids of those
that it changed; the others were in a state that it is not for. ``Task.objects`` has the same verbs
for a queryset, and a ``Task`` for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from celery import current_app
from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError
from django.db import transaction

from cq_compat import states
from cq_compat.database import CallersConnection, alias
from cq_compat.encoding import encode_text
from cq_compat.mirror import FamilyMirror, Outcome, PublishingMirror
from cq_compat.native.revoking import members_of
from cq_compat.termination import tell_workers
from cq_compat.walk import CHUNK


def retry(task_ids: Sequence[str]) -> list[str]:
    """Let finished tasks run once more from the beginning, with all of their retries.

    A worker's keeper sends them; neither a worker nor the layer needs to be there now.
    """
    return _in_chunks(task_ids, lambda mirror, ids: mirror.requeue(ids))


def requeue(task_ids: Sequence[str]) -> list[str]:
    """Send the messages of tasks again that were sent and that no worker has: more than one copy of
    a message does no harm.
    """
    return _in_chunks(task_ids, lambda mirror, ids: mirror.resend(ids))


def revoke(
    task_ids: Sequence[str],
    reason: str = "revoked",
    *,
    terminate: bool = False,
    signal: str = "SIGTERM",
) -> list[str]:
    """End tasks that have not ended, with their subtasks and what is chained to them: they will not
    start, and what a body that runs returns is refused.

    Args:
        terminate: also end the bodies that run, once the transaction is committed. If the layer is
            away they run on, for nothing.
        signal: what their processes get.
    """
    outcome = revoked(reason)
    with transaction.atomic(using=alias()):
        changed = _in_chunks(task_ids, lambda mirror, ids: mirror.revoke(ids, outcome))
        members = members_of(FamilyMirror(CallersConnection()), changed)
        changed += _in_chunks(members, lambda mirror, ids: mirror.revoke(ids, outcome))
    observed = _without_message(changed)
    kept = [task_id for task_id in changed if task_id not in observed] if terminate else []
    tell = partial(tell_workers, kept, list(observed), terminate=terminate, signal=signal)
    if kept or observed:
        transaction.on_commit(tell, using=alias())
    return changed


def forget(task_ids: Sequence[str]) -> list[str]:
    """Delete finished tasks with their results."""
    return _in_chunks(task_ids, lambda mirror, ids: mirror.forget(ids))


def revoked(reason: str) -> Outcome:
    """Return the outcome of a task that was revoked."""
    backend = BaseBackend(current_app)
    exception = backend.prepare_exception(TaskRevokedError(reason))
    return Outcome(states.REVOKED, *encode_text(exception, backend.serializer))


def _without_message(task_ids: Sequence[str]) -> set[str]:
    # Those of other brokers, whose workers start a task whatever its row says.
    from cq_compat.models import Task

    found: set[str] = set()
    for start in range(0, len(task_ids), CHUNK):
        rows = Task.objects.filter(pk__in=task_ids[start : start + CHUNK], message="")
        found.update(rows.values_list("pk", flat=True))
    return found


def _in_chunks(
    task_ids: Sequence[str], verb: Callable[[PublishingMirror, list[str]], list[str]]
) -> list[str]:
    changed: list[str] = []
    for start in range(0, len(task_ids), CHUNK):
        with transaction.atomic(using=alias()):
            chunk = list(task_ids[start : start + CHUNK])
            changed += verb(PublishingMirror(CallersConnection()), chunk)
    return changed
