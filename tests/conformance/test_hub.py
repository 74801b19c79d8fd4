"""Consuming on Celery's event loop, woken by a readable descriptor."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Queue
from kombu.asynchronous import Hub, set_event_loop

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import PATIENCE, QUIET, Inbox, declare

QUEUE = Queue("queue")


@pytest.fixture
def hub(connection: Connection) -> Iterator[Hub]:
    hub = Hub()
    set_event_loop(hub)
    yield hub
    connection.release()
    hub.close()
    set_event_loop(None)


def turn(hub: Hub, enough: Callable[[], object], patience: float = PATIENCE) -> None:
    """Run the loop until `enough()`. Raises: AssertionError when that takes too long."""
    deadline = time.monotonic() + patience
    hub.call_repeatedly(0.05, lambda: None)  # so that a turn is never long
    loop = hub.create_loop()
    while not enough():
        assert time.monotonic() < deadline, "the loop brought too little"
        next(loop)


def idle(hub: Hub) -> None:
    """Run the loop for a moment."""
    over = time.monotonic() + QUIET
    turn(hub, lambda: time.monotonic() > over)


def consume(connection: Connection, hub: Hub, **options: object) -> Inbox:
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE, **options)  # type: ignore[arg-type]
    connection.register_with_event_loop(hub)
    return inbox


def test_transport_is_asynchronous(broker: Broker, connection: Connection) -> None:
    assert connection.transport.implements.asynchronous


def test_descriptor_is_registered(broker: Broker, connection: Connection, hub: Hub) -> None:
    consume(connection, hub)
    idle(hub)

    assert hub.readers


def test_loop_delivers(broker: Broker, connection: Connection, other: Connection, hub: Hub) -> None:
    inbox = consume(connection, hub)
    found = []
    for number in range(5):
        send(other, "queue", number)
        turn(hub, lambda: inbox.arrived)
        found += inbox.take(len(inbox.arrived))

    assert found == list(range(5))


def test_loop_delivers_many(
    broker: Broker, connection: Connection, other: Connection, hub: Hub
) -> None:
    inbox = consume(connection, hub, prefetch=10)
    send(other, "queue", *range(500))
    found: list[int] = []

    def step() -> bool:
        found.extend(inbox.take(len(inbox.arrived)))
        return len(found) >= 500

    turn(hub, step)

    assert sorted(found) == list(range(500))


def test_prefetch_count_holds_on_the_loop(
    broker: Broker, connection: Connection, other: Connection, hub: Hub
) -> None:
    inbox = consume(connection, hub, prefetch=3, ack=False)
    send(other, "queue", *range(20))
    turn(hub, lambda: len(inbox.arrived) >= 3)
    idle(hub)
    assert len(inbox.arrived) == 3

    inbox.arrived[0].ack()
    inbox.consumer.qos(prefetch_count=5)
    turn(hub, lambda: len(inbox.arrived) >= 6)
    idle(hub)
    assert len(inbox.arrived) == 6


def test_ack_from_another_thread_makes_room(
    broker: Broker, connection: Connection, other: Connection, hub: Hub
) -> None:
    inbox = consume(connection, hub, prefetch=1, ack=False)
    send(other, "queue", *range(10))
    found = []
    while len(found) < 10:
        turn(hub, lambda: inbox.arrived)
        message = inbox.arrived.popleft()
        found.append(message.payload)
        threading.Timer(0.02, message.ack).start()

    assert sorted(found) == list(range(10))


def test_messages_go_back_from_the_loop(
    broker: Broker, connection: Connection, other: Connection, hub: Hub
) -> None:
    inbox = consume(connection, hub, prefetch=4, ack=False)
    send(other, "queue", *range(20))
    turn(hub, lambda: len(inbox.arrived) >= 4)

    connection.release()

    assert sorted(broker.contents(other, QUEUE)) == list(range(20))


def test_no_descriptor_is_left_behind(broker: Broker, connection: Connection, hub: Hub) -> None:
    inbox = consume(connection, hub)
    idle(hub)
    inbox.close()

    connection.release()

    assert not hub.readers and not hub.writers


def test_queue_is_added_on_the_loop(
    broker: Broker, connection: Connection, other: Connection, hub: Hub
) -> None:
    inbox = consume(connection, hub)
    idle(hub)
    late = Queue("late")
    declare(connection, late)

    inbox.consumer.add_queue(late)
    inbox.consumer.consume()
    send(other, "late", "message")
    turn(hub, lambda: inbox.arrived)

    assert inbox.take() == ["message"]
