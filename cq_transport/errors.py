"""Errors of the transport.

    TransportError
    ├── LayerMisconfigured   the settings cannot work; nothing was sent
    ├── LayerUnreachable     the layer does not answer; kombu reconnects and retries
    ├── LayerFull            the queue is at its capacity; kombu retries, then gives up
    ├── UndecodableMessage   bytes that are no message; they were dropped
    └── LedgerUnavailable    whether a message may run is not known now; it is kept

Celery's publish retry policy sees ``LayerUnreachable`` as a connection error and ``LayerFull`` as a
channel error; when it gives up, both reach the caller as ``kombu.exceptions.OperationalError``.
"""

from __future__ import annotations

from kombu.exceptions import KombuError


class TransportError(KombuError):
    """Base class of every error that this package raises."""


class LayerMisconfigured(TransportError):
    """The broker URL or its layer cannot carry tasks; the message says what to change."""


class LayerUnreachable(TransportError):
    """The channel layer did not answer in time; nothing is known to be lost, publish again."""


class LayerFull(TransportError):
    """The queue is at the layer's capacity; raise the capacity or add workers."""


class UndecodableMessage(TransportError):
    """The bytes found on a queue's channel are no message of this transport; they were dropped."""


class LedgerUnavailable(TransportError):
    """The ledger cannot tell now whether messages may run; they are kept and it is asked again."""
