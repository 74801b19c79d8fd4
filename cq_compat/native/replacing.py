"""Publishes what runs in a task's place in the transaction of the body that has said so.

What the body has written, those tasks and the row of their predecessor are committed together, so a
body that runs again after a death has not written before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery.exceptions import Ignore
from django.db import transaction

from cq_compat.database import CallersConnection
from cq_compat.guards import claim_of
from cq_compat.mirror import Claim, PublishingMirror, WorkingMirror
from cq_compat.native.chord_parts import count_added
from cq_compat.native.departing import Replaced, ReplaceLater, replacing
from cq_compat.native.ending import undone
from cq_compat.native.linking import has_rows_here
from cq_compat.native.telling import settle

if TYPE_CHECKING:
    from cq_compat.native.celery_task import NativeTask


def replace_with_body(task: NativeTask, later: ReplaceLater) -> Ignore:
    """Publish what a body has left for, and let its task give way; return what the task is to raise
    once that is committed. ``later`` itself is to be published then, where the rows are elsewhere,
    or the transaction is undone.

    Raises:
        ClaimLost: the task is not this worker's any more.
    """
    request, claim = task.request, claim_of(task.request)
    if claim is None or not has_rows_here(task.app) or transaction.get_rollback():
        return later
    settle(request)  # on a connection beside this one, if the database lets it
    try:
        with replacing(request):
            later.publish()
    except Ignore as ignored:  # so Celery says that it has
        replaced = Replaced(*ignored.args)
    if not _give_way(claim):
        raise undone(task, claim)
    count_added(request)
    return replaced


def _give_way(claim: Claim) -> bool:
    connection = CallersConnection()
    if WorkingMirror(connection).give_way(claim):
        return True
    return PublishingMirror(connection).has_rerun(claim)  # what runs first may have its id
