"""Messages that nobody is to have any more, and where they go."""

from __future__ import annotations

from cq_transport.envelope import Envelope
from cq_transport.topology import Queue


def is_expired(queue: Queue, envelope: Envelope, age: float) -> bool:
    """Tell whether a message of a queue is too old to be delivered.

    Args:
        age: the seconds for which it has waited.
    """
    limits = [queue.message_ttl]
    expiration = envelope["properties"].get("expiration")
    # A worker revokes an expired task and says so in its result; a task that is dropped here would
    # be pending for ever.
    drops = queue.dead_letter_exchange is not None or not _is_task_that_expires(envelope)
    if expiration not in (None, "") and drops:
        limits.append(float(expiration) / 1000)  # AMQP gives milliseconds, as text
    return any(limit is not None and age > limit for limit in limits)


def dead_letter(queue: Queue, envelope: Envelope, reason: str) -> Envelope:
    """Return what goes to the dead letters of a queue that has some.

    Args:
        reason: in the word of AMQP. The names of the headers are RabbitMQ's.
    """
    properties = {key: val for key, val in envelope["properties"].items() if key != "expiration"}
    routing_key = queue.dead_letter_routing_key
    if routing_key is None:
        info = envelope["properties"].get("delivery_info") or {}
        routing_key = info.get("routing_key", "")
    properties["delivery_info"] = {
        "exchange": queue.dead_letter_exchange,
        "routing_key": routing_key,
    }
    first_death = {"x-first-death-queue": queue.name, "x-first-death-reason": reason}
    return {**envelope, "headers": {**first_death, **envelope["headers"]}, "properties": properties}


def _is_task_that_expires(envelope: Envelope) -> bool:
    headers = envelope["headers"]
    return bool(headers.get("task") and headers.get("expires"))
