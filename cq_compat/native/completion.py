"""Ends parents whose subtasks have all ended.

No row counts them, and none is locked while they run: each that has ended looks, after the commit,
whether the parent waits and no subtask is left. Of two that end at once, the one that commits later
sees both; the parent itself looks too, when it has begun to wait.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from cq_compat import chords, states
from cq_compat.backend import CqBackend
from cq_compat.database import own_connection
from cq_compat.encoding import decode_text
from cq_compat.errors import SubtasksFailed
from cq_compat.mirror import Claim, FamilyMirror, Outcome, Parent
from cq_compat.native.naming import failure_of
from cq_compat.requests import request_of
from cq_transport.envelope import from_text

#: Failed subtasks that a parent's error names.
NAMED = 5


def complete(app: Celery, task_id: str) -> bool:
    """End a task that waits for nothing any more; tell whether that was done here."""
    mirror = FamilyMirror(own_connection())
    parent = mirror.ready(task_id)
    if parent is None or chords.is_awaited(task_id):
        return False
    backend = CqBackend(app)
    outcome, value = _outcome(mirror, parent, backend)
    with mirror.connection.transaction():
        end = mirror.complete(parent, outcome)
        if end is None:
            return False
        if parent.message:
            claim = Claim(parent.id, parent.run, parent.fence, "")
            backend.go_on(end, value, request_of(from_text(parent.message), claim))
    return True


def _outcome(mirror: FamilyMirror, parent: Parent, backend: CqBackend) -> tuple[Outcome, Any]:
    """Return the parent's outcome, encoded and as it is."""
    failures = _failures(mirror, parent, backend)
    if failures and not parent.subtasks_may_fail:
        error = SubtasksFailed(failures)
        return backend.outcome_of_error(error), error
    result, content_type = _result(mirror, parent)
    value = decode_text(result, content_type, backend.accept)
    return Outcome(states.SUCCESS, result, content_type, failures or None), value


def _failures(mirror: FamilyMirror, parent: Parent, backend: CqBackend) -> str:
    """Return which subtasks have failed, and why; empty if none has."""
    named = mirror.failed(parent, NAMED)
    if not named:
        return ""
    failed, of = mirror.count(parent)
    shown = [failure_of(backend, task_id, name) for task_id, name in named]
    more = [f"{failed - len(named)} more"] if failed > len(named) else []
    return f"{failed} of {of} subtasks failed: {'; '.join([*shown, *more])}"


def _result(mirror: FamilyMirror, parent: Parent) -> tuple[str | None, str]:
    source = None if parent.result_from is None else mirror.previous(parent.result_from)
    found = parent if source is None or source.state != states.SUCCESS else source
    return found.result, found.content_type
