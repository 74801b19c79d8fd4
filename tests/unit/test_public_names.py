"""The public names of the packages."""

from __future__ import annotations

import pytest

import cq_compat
import cq_transport

pytestmark = pytest.mark.unit


def test_names_of_cq_transport() -> None:
    assert sorted(cq_transport.__all__) == [
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
    assert all(hasattr(cq_transport, name) for name in cq_transport.__all__)


def test_names_of_cq_compat() -> None:
    assert cq_compat.__all__ == [
        "TaskLogHandler",
        "aget",
        "bulk",
        "current_task",
        "schedule_task",
        "task",
        "unschedule_task",
    ]
    assert all(callable(getattr(cq_compat, name)) for name in cq_compat.__all__)


def test_register_may_be_called_again() -> None:
    from kombu import Connection

    cq_transport.register()
    cq_transport.register()
    assert Connection("channels://tasks").as_uri() == "channels://tasks"
