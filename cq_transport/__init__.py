"""A Celery broker on any Django Channels layer."""

from cq_transport.aliases import register
from cq_transport.errors import (
    LayerFull,
    LayerMisconfigured,
    LayerUnreachable,
    TransportError,
    UndecodableMessage,
)

__all__ = [
    "LayerFull",
    "LayerMisconfigured",
    "LayerUnreachable",
    "TransportError",
    "UndecodableMessage",
    "register",
]
