"""A task message as a row: what is read out of its headers when it is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from celery.utils.time import maybe_iso8601

from cq_compat.encoding import storable
from cq_compat.links import NO_LINK, Link
from cq_transport.envelope import Envelope, from_text, to_text
from cq_transport.ledger import Outgoing

#: The header in which a message carries its run and, once claimed, the claim.
HEADER = "cq"
#: Seconds until which a countdown is left to the worker's own timer; longer ones wait in the table.
WORKER_TIMER = 3.0
#: Seconds after which the keeper sends what its publisher should have sent.
PUBLISHER_TIME = 2.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a message says about its task.

    Args:
        delay: seconds until the keeper is to send it.
        waits: whether it is sent then and not before.
        link: its place in its family.
    """

    id: str
    name: str
    args: str
    kwargs: str
    broker: str
    exchange: str
    queue: str
    priority: int
    message: str
    eta: datetime | None
    expires_at: datetime | None
    retries: int
    replaced: int
    parent_id: str | None
    root_id: str | None
    group_id: str | None
    periodic_task_name: str | None
    delay: float
    waits: bool
    link: Link = NO_LINK


def is_task(envelope: Envelope) -> bool:
    """Tell whether a message is a task; events, replies and commands are none."""
    headers = envelope["headers"]
    return bool(headers.get("id")) and isinstance(headers.get("task"), str)


def run_of(envelope: Envelope) -> int:
    """Return the run that a task message is for."""
    header = envelope["headers"].get(HEADER)
    return int(header["run"]) if isinstance(header, dict) and "run" in header else 0


def is_kept(envelope: Envelope) -> bool:
    """Tell whether a message is of a task that has a row, or gets one: an empty header is a
    broadcast's, none that of somebody without rows.
    """
    return is_task(envelope) and envelope["headers"].get(HEADER) != {}


def nesting_of(message: str) -> int:
    """Return how many times the task of a stored message was replaced; 0 if there is no message."""
    headers = from_text(message)["headers"] if message else {}
    return int(headers.get("replaced_task_nesting") or 0)


def record_of(message: Outgoing) -> Record:
    """Read a task message.

    Raises:
        ValueError: its times are no times.
    """
    headers = message.envelope["headers"]
    eta, expires_at = _time(headers.get("eta")), _time(headers.get("expires"))
    lead = (eta - datetime.now(timezone.utc)).total_seconds() - WORKER_TIMER if eta else 0.0
    return Record(
        id=str(headers["id"]),
        name=headers["task"],
        args=storable(headers.get("argsrepr") or ""),
        kwargs=storable(headers.get("kwargsrepr") or ""),
        broker=message.broker,
        exchange=message.exchange,
        queue=message.routing_key,
        priority=message.priority,
        message=to_text(message.envelope),
        eta=eta,
        expires_at=expires_at,
        retries=headers.get("retries") or 0,
        replaced=headers.get("replaced_task_nesting") or 0,
        parent_id=headers.get("parent_id"),
        root_id=headers.get("root_id"),
        group_id=headers.get("group"),
        periodic_task_name=headers.get("periodic_task_name"),
        delay=max(lead, PUBLISHER_TIME),
        waits=lead > 0,
        link=Link.read(headers),
    )


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    found: datetime = maybe_iso8601(value)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
