"""The outbox: sends at once, notes a moment later, and leaves to a keeper what did not get away."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cq_compat.mirror import PublishingMirror
from cq_compat.models import Task
from cq_compat.outbox import Outbox, Waiting
from cq_transport.errors import LayerUnreachable
from tests.conformance.rows.messages import record
from tests.servers.waiting import wait_until


class Layer:
    """A layer that keeps what it is given, once its gate is open, unless it refuses it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.refused: set[str] = set()
        self.accepts = True
        self.gate = threading.Event()
        self.gate.set()

    def renew(self, names: list[str]) -> None:
        """Nothing lapses."""

    @property
    def topology(self) -> "Layer":
        return self

    def bindings(self) -> list[Any]:
        return []

    def flush(self, timeout: float) -> None:
        if not self.accepts:
            raise LayerUnreachable("nothing is accepted")


class Message:
    """A message of a task."""

    exchange, routing_key = "", "celery"

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id

    def send(self, layer: Layer) -> None:
        assert layer.gate.wait(10)
        if self.task_id in layer.refused:
            raise LayerUnreachable("refused")
        layer.messages.append(self.task_id)


@pytest.fixture
def layer() -> Layer:
    return Layer()


@pytest.fixture
def outbox(database: str) -> Iterator[Outbox]:
    outbox = Outbox()
    yield outbox
    assert outbox.flush(10)
    outbox._connection.close()


def put(outbox: Outbox, publishing: PublishingMirror, layer: Any, count: int) -> list[str]:
    """Record tasks, give their messages to the outbox, and return their ids."""
    records = [record() for _ in range(count)]
    for one in records:
        publishing.record(one)
    give(outbox, layer, [one.id for one in records])
    return [one.id for one in records]


def give(outbox: Outbox, layer: Any, ids: list[str]) -> None:
    """Give the messages of recorded tasks to the outbox."""
    for task_id in ids:
        message: Any = Message(task_id)
        outbox.put(Waiting(task_id, 0, message, layer))


def noted() -> set[str]:
    """Return the ids of the tasks of which it is noted that they were sent."""
    return set(Task.objects.filter(sent_at__isnull=False).values_list("id", flat=True))


def test_notes_come_without_a_flush(
    outbox: Outbox, publishing: PublishingMirror, layer: Layer
) -> None:
    ids = put(outbox, publishing, layer, 3)

    wait_until(lambda: noted() == set(ids), what=lambda: f"three notes: {noted()}")
    assert layer.messages == ids


def test_what_is_sent_after_a_note_is_noted_too(
    outbox: Outbox, publishing: PublishingMirror, layer: Layer
) -> None:
    first = put(outbox, publishing, layer, 250)  # more than a note has
    assert outbox.flush(10)
    assert noted() == set(first)

    second = put(outbox, publishing, layer, 1)
    assert outbox.flush(10)
    assert noted() == {*first, *second}
    assert layer.messages == [*first, *second]


def test_what_a_failure_leaves_is_not_noted(
    outbox: Outbox, publishing: PublishingMirror, layer: Layer
) -> None:
    layer.gate.clear()
    first = put(outbox, publishing, layer, 1)  # while it is sent, the others pile up
    sent, refused, left = (record() for _ in range(3))
    for one in (sent, refused, left):
        publishing.record(one)
    layer.refused = {refused.id}
    wait_until(lambda: not outbox._waiting, what="the first message to be taken")
    give(outbox, layer, [sent.id, refused.id, left.id])
    layer.gate.set()
    assert outbox.flush(10)

    assert layer.messages == [*first, sent.id]
    assert noted() == {*first, sent.id}


def test_what_the_layer_does_not_accept_is_not_noted(
    outbox: Outbox, publishing: PublishingMirror, layer: Layer
) -> None:
    layer.accepts = False
    put(outbox, publishing, layer, 2)
    assert outbox.flush(10)
    assert noted() == set()

    layer.accepts = True
    ids = put(outbox, publishing, layer, 1)
    assert outbox.flush(10)
    assert noted() == set(ids)
