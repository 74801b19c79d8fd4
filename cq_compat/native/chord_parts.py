"""Parts that bodies add to their chords.

A part that a body in a transaction adds is a row of that transaction, and so is its count. It is
written last: whoever ends another part waits for it.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, current_task

from cq_compat import chords
from cq_compat.database import CallersConnection, own_connection
from cq_compat.guards import claim_of
from cq_compat.native.departing import is_in_transaction
from cq_compat.native.linking import has_rows_here

#: The attribute of a Celery request that has the parts that its body has added.
_ADDED = "cq_added_parts"


def add_part(app: Celery, group_id: str, part: Any) -> None:
    """Let the chord of the running task wait for one part more."""
    request = getattr(current_task, "request", None)
    is_claimed = claim_of(request) is not None
    if is_claimed and is_in_transaction(request) and has_rows_here(app):
        setattr(request, _ADDED, [*getattr(request, _ADDED, ()), (group_id, part)])
    else:
        chords.add_part(own_connection(), group_id, part)


def count_added(request: Any) -> None:
    """Count the parts that a body in a transaction has added."""
    for group_id, part in getattr(request, _ADDED, ()):
        chords.add_part(CallersConnection(), group_id, part)
