"""Makes the URL scheme known to kombu, which has no entry point for that."""

from __future__ import annotations

from kombu.transport import TRANSPORT_ALIASES

from cq_transport.options import SCHEME

TRANSPORT = "cq_transport.transport:Transport"


def register() -> None:
    """Let ``channels://`` URLs name this transport; may be called any number of times."""
    TRANSPORT_ALIASES[SCHEME] = TRANSPORT
