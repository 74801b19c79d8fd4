"""A Celery broker on any Django Channels layer."""

from cq_transport.aliases import register
from cq_transport.errors import (
    LayerFull,
    LayerMisconfigured,
    LayerUnreachable,
    LedgerUnavailable,
    TransportError,
    UndecodableMessage,
)
from cq_transport.ledger import Ledger, Outgoing, current_ledger, use_ledger

__all__ = [
    "LayerFull",
    "LayerMisconfigured",
    "LayerUnreachable",
    "Ledger",
    "LedgerUnavailable",
    "Outgoing",
    "TransportError",
    "UndecodableMessage",
    "current_ledger",
    "register",
    "use_ledger",
]
