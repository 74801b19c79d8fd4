"""Task messages as Celery makes them, and what is in their rows."""

import json
from typing import Any
from uuid import uuid4

from cq_compat.lease import Lease
from cq_compat.mirror import Claim, KeepingMirror, PublishingMirror, WorkingMirror
from cq_compat.models import Layer, Task
from cq_compat.records import Record, record_of
from cq_transport.ledger import Outgoing

BROKER = "channels://default"


def record(
    task_id: str = "", *, queue: str = "celery", exchange: str = "", **headers: Any
) -> Record:
    """Return the record of a task's message."""
    known = {"id": task_id or str(uuid4()), "task": "tests.add", "argsrepr": "(1, 2)"}
    envelope = {
        "type": "cq.message",
        "body": json.dumps([[1, 2], {}, {"chord": headers.pop("chord", None)}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**known, **headers},
        "properties": {"priority": 3, "delivery_info": {}},
    }
    return record_of(Outgoing(BROKER, exchange, queue, 3, envelope))


def row(task_id: str) -> Task:
    """Return a task as it is committed."""
    from tests.conformance.rows.conftest import ALIAS

    return Task.objects.using(ALIAS).get(pk=task_id)


def lose(keeping: KeepingMirror) -> int:
    """Let the layer lose what was sent; return how many rows are to be sent again."""
    Layer.objects.get_or_create(broker=BROKER, defaults={"epoch": "before"})
    assert keeping.begin_epoch(BROKER, uuid4().hex)
    return keeping.unsend_lost(BROKER)


def claimed(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease, **headers: Any
) -> Claim:
    """Return the claim of a worker on a task of its own."""
    made = record(**headers)
    assert publishing.record(made)
    (claim,) = working.claim([(made.id, 0)], lease.owner, lease.hostname)
    return claim
