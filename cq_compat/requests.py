"""A task's request as its worker had it, made of its message."""

from __future__ import annotations

from celery.app.task import Context
from kombu.serialization import loads

from cq_compat.mirror import Claim
from cq_compat.records import HEADER
from cq_transport.envelope import Envelope


def request_of(envelope: Envelope, claim: Claim) -> Context:
    """Return the request of a message that was claimed."""
    args, kwargs, embed = loads(
        envelope["body"],
        envelope.get("content-type"),
        envelope.get("content-encoding"),
        accept={envelope.get("content-type")},
    )
    info = envelope["properties"].get("delivery_info") or {}
    return Context(
        {**envelope["headers"], HEADER: claim.header(), "delivery_info": info, **(embed or {})},
        args=args,
        kwargs=kwargs,
        called_directly=False,
    )
