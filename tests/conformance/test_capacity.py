"""A full queue is an error for its publisher, and for nobody else."""

import threading
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError

from tests.conformance.backends import SMALL
from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare
from tests.conformance.watchdog import ends

RETRIES = {"max_retries": 2, "interval_start": 0, "interval_step": 0.05, "interval_max": 0.1}
QUEUE = Queue("queue", Exchange("exchange", type="topic"), "a.*")


def fill(connection: Connection, queue: str = "queue", **options: Any) -> list[int]:
    """Publish until the queue is full and return what was accepted."""
    accepted: list[int] = []

    def run() -> None:
        for number in range(20 * SMALL):
            send(connection, queue, number, retry=True, retry_policy=RETRIES, **options)
            accepted.append(number)

    with pytest.raises(OperationalError):
        ends(run)
    return accepted


def test_full_queue_raises(broker: Broker) -> None:
    connection = broker.small().connect()
    declare(connection, QUEUE)

    assert len(fill(connection)) >= SMALL


def test_full_queue_behind_an_exchange_raises(broker: Broker) -> None:
    connection = broker.small().connect()
    declare(connection, QUEUE)

    def run() -> None:
        for number in range(20 * SMALL):
            publish(connection, QUEUE.exchange, "a.b", number, retry=True, retry_policy=RETRIES)

    with pytest.raises(OperationalError):
        ends(run)


def test_accepted_messages_are_not_lost(broker: Broker) -> None:
    small = broker.small()
    connection, other = small.connect(), small.connect()
    declare(connection, QUEUE)
    accepted = fill(connection)

    found = Inbox(other, QUEUE).take(len(accepted))

    assert sorted(found) == accepted


def test_confirmed_messages_are_not_more_than_the_room(broker: Broker) -> None:
    small = broker.small()
    connection = small.connect(confirm_publish=True)
    declare(connection, QUEUE)

    assert len(fill(connection)) == SMALL


def test_there_is_room_again(broker: Broker) -> None:
    small = broker.small()
    connection, other = small.connect(), small.connect()
    declare(connection, QUEUE)
    accepted = fill(connection)
    inbox = Inbox(other, QUEUE)
    inbox.take(len(accepted))

    send(connection, "queue", "room", retry=True, retry_policy=RETRIES)

    assert inbox.take() == ["room"]


def test_a_full_queue_does_not_touch_another(broker: Broker) -> None:
    small = broker.small()
    connection = small.connect()
    declare(connection, QUEUE, Queue("other"))
    fill(connection)

    send(connection, "other", *range(10), retry=True, retry_policy=RETRIES)

    assert sorted(small.contents(connection, Queue("other"))) == list(range(10))


def test_publisher_waits_for_room(broker: Broker) -> None:
    small = broker.small()
    connection, other = small.connect(), small.connect()
    declare(connection, QUEUE)
    accepted = fill(connection)
    late = [-number for number in range(1, 4 * SMALL)]
    patient = {**RETRIES, "max_retries": 100}
    publisher = threading.Thread(
        target=lambda: send(connection, "queue", *late, retry=True, retry_policy=patient)
    )
    publisher.start()

    found = Inbox(other, QUEUE, prefetch=5).take(len(accepted) + len(late), timeout=45)
    publisher.join()

    assert sorted(found) == sorted(accepted + late)


def test_broadcast_into_a_full_queue_drops_the_oldest(broker: Broker) -> None:
    connection = broker.connect(transient_capacity=SMALL)
    exchange = Exchange("events", type="topic")
    queue = Queue("events", exchange, "#", auto_delete=True, durable=False, exclusive=True)
    declare(connection, queue)

    ends(lambda: publish(connection, exchange, "event", *range(4 * SMALL)))
    found = Inbox(connection, queue).take(SMALL)

    assert found == list(range(3 * SMALL, 4 * SMALL))
