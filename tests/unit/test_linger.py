"""A request for few messages waits until there is room for more."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cq_compat.ledger import ledger
from cq_compat.workers import PATIENCE, begin_worker, end_worker
from cq_transport.inbox import BATCH, LINGER, Inbox
from cq_transport.ledger import NoLedger
from cq_transport.qos import QoS
from tests.servers.publishing import kept_in_rows


def inbox(window: int, patience: float = 0.0) -> Inbox:
    """Return the inbox of a channel with a prefetch count."""
    qos = QoS()
    qos.prefetch_count = window
    transport = SimpleNamespace(watcher=None, options=SimpleNamespace(priorities=[0]))
    keeper = SimpleNamespace(patience=patience)
    channel = SimpleNamespace(connection=transport, qos=qos, ledger=keeper, claim=None)
    return Inbox(cast(Any, channel))


def test_small_requests_linger() -> None:
    assert inbox(8).linger(1) == LINGER
    assert inbox(8).linger(3) == LINGER
    assert inbox(8, patience=1).linger(3) == 1
    assert inbox(8, patience=LINGER / 2).linger(3) == LINGER


@pytest.mark.parametrize(
    ("window", "room", "why"),
    [
        (8, 4, "half of the window is free"),
        (1000, BATCH, "it is worth a request"),
        (1, 1, "nothing else could be awaited"),
        (2, 1, "nothing else could be awaited"),
        (0, 1, "the window has no limit"),
    ],
)
def test_others_do_not(window: int, room: int, why: str) -> None:
    assert inbox(window, patience=1).linger(room) == 0, why


def test_who_keeps_nothing_has_no_patience() -> None:
    assert NoLedger().patience == 0


@pytest.mark.parametrize(
    ("multiplier", "patience"), [(4, PATIENCE), (10, PATIENCE), (3, 0), (1, 0)]
)
def test_a_worker_with_little_at_hand_has_none(
    multiplier: int, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = SimpleNamespace(broker_read_url="channels://default")
    app = SimpleNamespace(conf=conf, steps={"consumer": set()})
    worker = SimpleNamespace(app=app, hostname="w1@test", prefetch_multiplier=multiplier)
    for name in ("conf", "guard_starts", "register_command"):
        monkeypatch.setattr(f"cq_compat.workers.{name}", lambda *args: None)
    monkeypatch.setattr("cq_compat.workers.Lease", lambda *args: None)
    with kept_in_rows():
        begin_worker(worker)
    assert ledger.patience == patience
    end_worker()
    assert ledger.patience == 0
