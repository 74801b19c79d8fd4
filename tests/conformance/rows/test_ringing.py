"""A keeper sends what is due, as much as there is room for."""

from collections import Counter
from typing import Any

import pytest

from cq_compat.database import OwnConnection
from cq_compat.keeper.ringing import BATCH, FULL_PAUSE, LOOK, Ringing
from cq_compat.mirror import KeepingMirror
from cq_transport.errors import LayerFull
from tests.conformance.rows.messages import BROKER, record, row


class Rooms:
    """A layer whose queues have room for so many messages."""

    def __init__(self, **room: int) -> None:
        self.room = Counter(room)
        self.sent: list[str] = []

    def send(self, queue: str, priority: int, envelope: dict[str, Any]) -> None:
        """Take a message, if there is room."""
        if not self.room[queue]:
            raise LayerFull(queue)
        self.room[queue] -= 1
        self.sent.append(envelope["headers"]["id"])

    def flush(self, timeout: float) -> None:
        """All has arrived."""


@pytest.fixture
def layer() -> Rooms:
    return Rooms(celery=1000)


@pytest.fixture
def ringing(layer: Rooms, connection: OwnConnection) -> Ringing:
    return Ringing(BROKER, layer, connection)  # type: ignore[arg-type]


def due(keeping: KeepingMirror, count: int, queue: str = "celery") -> list[str]:
    """Make rows that are due, and return their ids."""
    made = [record(queue=queue) for _ in range(count)]
    for one in made:
        keeping.record(one)
    keeping.connection.execute("UPDATE cq_task SET due_at = created_at", [])
    return [one.id for one in made]


def ring(ringing: Ringing) -> int:
    """Let the keeper send until it rests; return how many turns that took."""
    turns = 1
    while ringing.run_once():
        turns += 1
    return turns


def test_all_that_is_due_is_sent(keeping: KeepingMirror, layer: Rooms, ringing: Ringing) -> None:
    ids = due(keeping, 3)

    assert ring(ringing) == 2
    assert sorted(layer.sent) == sorted(ids)
    assert row(ids[0]).sent_at is not None
    assert ringing.interval == LOOK


def test_a_full_queue_holds_up_no_other(
    keeping: KeepingMirror, layer: Rooms, ringing: Ringing
) -> None:
    layer.room["mails"] = 2
    mails = due(keeping, BATCH + 5, "mails")
    others = due(keeping, 3)

    ring(ringing)

    assert set(others) < set(layer.sent) and len(layer.sent) == 5
    assert sum(row(task_id).sent_at is None for task_id in mails) == BATCH + 3


def test_a_full_queue_is_looked_at_again_soon_while_it_gets_room(
    keeping: KeepingMirror, layer: Rooms, ringing: Ringing
) -> None:
    layer.room["mails"] = 1
    due(keeping, 5, "mails")
    pauses = []
    for room in (0, 0, 1, 0):
        layer.room["mails"] += room
        ring(ringing)
        pauses.append(ringing.interval)

    assert len(layer.sent) == 2
    assert pauses == [FULL_PAUSE, 2 * FULL_PAUSE, FULL_PAUSE, 2 * FULL_PAUSE]
    for _ in range(10):
        ring(ringing)
    assert ringing.interval == LOOK


def test_the_next_look_is_when_the_next_row_is_due(
    keeping: KeepingMirror, ringing: Ringing
) -> None:
    ring(ringing)
    assert ringing.interval == LOOK
    made = record()
    keeping.record(made)
    keeping.connection.execute(f"UPDATE cq_task SET due_at = {keeping.later}", [LOOK / 2])

    ring(ringing)

    assert 0.0 < ringing.interval < 0.75 * LOOK
    ringing.hurry()
    assert ringing.interval == 0.0
