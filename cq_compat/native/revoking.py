"""Revokes what belongs to revoked tasks."""

from __future__ import annotations

from collections.abc import Sequence

from cq_compat import states
from cq_compat.database import own_connection
from cq_compat.mirror import FamilyMirror


def members_of(mirror: FamilyMirror, task_ids: Sequence[str]) -> list[str]:
    """Return the unfinished subtasks of tasks, what is chained to them, and theirs in turn."""
    found: dict[str, None] = {}
    level = list(task_ids)
    while level:
        members = [one for one in _members(mirror, level) if one not in found]
        found |= dict.fromkeys(members)
        level = members
    return list(found)


def _members(mirror: FamilyMirror, task_ids: Sequence[str]) -> list[str]:
    from cq_compat.walk import CHUNK

    return [
        member
        for start in range(0, len(task_ids), CHUNK)
        for member in mirror.members(task_ids[start : start + CHUNK])
    ]


def revoke_members(task_ids: Sequence[str], reason: str = "the parent was revoked") -> None:
    """Revoke what belongs to tasks that Celery has revoked."""
    from cq_compat.operations import revoke

    members = members_of(FamilyMirror(own_connection()), task_ids)
    if members:
        revoke(members, reason)


def revoke_late(task_id: str) -> None:
    """Revoke what a body has begun that went on after its task was revoked."""
    previous = FamilyMirror(own_connection()).previous(task_id)
    if previous is not None and previous.state == states.REVOKED:
        revoke_members([task_id])
