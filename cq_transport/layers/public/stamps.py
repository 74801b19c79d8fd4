"""What the transport adds to a message because a public layer does not tell it."""

from __future__ import annotations

from time import time
from typing import Any

from cq_transport.envelope import Envelope

#: When the message was published, in seconds since the epoch by its publisher's clock.
SENT_AT = "sent_at"
#: Its priority, where it can be read before the message is unpacked.
PRIORITY = "priority"
#: Exchange and routing key of a message that every queue of a topic exchange is given.
ROUTED = "routed"


def fresh(priority: int, routed: tuple[str, str] | None = None) -> dict[str, Any]:
    """Return the stamps of a message that is published now."""
    stamps: dict[str, Any] = {SENT_AT: time(), PRIORITY: priority}
    if routed is not None:
        stamps[ROUTED] = list(routed)
    return stamps


def kept(envelope: Envelope, priority: int) -> dict[str, Any]:
    """Return the stamps of a message that goes back."""
    return {SENT_AT: time(), **_stamps(envelope), PRIORITY: priority}


def stamped(envelope: Envelope, stamps: dict[str, Any]) -> Envelope:
    """Return ``envelope`` with ``stamps`` in place of those it has."""
    bare = {key: value for key, value in envelope.items() if key not in (SENT_AT, PRIORITY, ROUTED)}
    return {**bare, **stamps}


def priority_of(message: Any) -> int:
    """Return the priority that a layer message is stamped with; 0 for a foreign one."""
    priority = message.get(PRIORITY) if isinstance(message, dict) else None
    return priority if type(priority) is int and 0 <= priority <= 9 else 0


def routed_by(message: Any) -> tuple[str, str] | None:
    """Return exchange and routing key of a message that may have to be dropped, if it is one."""
    routed = message.get(ROUTED) if isinstance(message, dict) else None
    if isinstance(routed, (list, tuple)) and len(routed) == 2:
        return str(routed[0]), str(routed[1])
    return None


def age_of(envelope: Envelope) -> float:
    """Return the seconds since the message was published; 0 if that is not known."""
    sent_at = envelope.get(SENT_AT)
    return max(0.0, time() - sent_at) if isinstance(sent_at, (int, float)) else 0.0


def _stamps(envelope: Envelope) -> dict[str, Any]:
    return {key: envelope[key] for key in (SENT_AT, PRIORITY, ROUTED) if key in envelope}
