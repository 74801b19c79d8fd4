"""Ten priorities; 0 goes first unless the options say otherwise."""

import pytest
from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare

ANY_ORDER = [5, 0, 9, 3, 7, 1, 8, 2, 6, 4]


def test_ten_priorities(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue", max_priority=10)
    declare(connection, queue)
    for priority in ANY_ORDER:
        send(connection, "queue", priority, priority=priority)

    assert Inbox(connection, queue, prefetch=1).take(10) == list(range(10))


def test_first_in_first_out_within_a_priority(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    for number in range(30):
        send(connection, "queue", [number % 3, number], priority=number % 3)

    found = Inbox(connection, queue, prefetch=1).take(30)

    assert found == sorted(found)


def test_urgent_message_overtakes_those_that_wait(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", *range(5), priority=5)
    inbox = Inbox(connection, queue, prefetch=1)
    assert inbox.take() == [0]

    send(connection, "queue", "urgent", priority=1)

    # At most one message was on its way before the urgent one.
    assert "urgent" in inbox.take(2)


def test_a_message_without_priority_is_urgent(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", "one", priority=1)
    send(connection, "queue", "none")

    assert Inbox(connection, queue, prefetch=1).take(2) == ["none", "one"]


def test_priorities_beyond_the_range_are_cut(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", "least", priority=300)
    send(connection, "queue", "middle", priority=5)
    send(connection, "queue", "most", priority=-7)

    assert Inbox(connection, queue, prefetch=1).take(3) == ["most", "middle", "least"]


@pytest.mark.parametrize("order", ["redis", "rabbitmq"])
def test_priority_order_option(broker: Broker, order: str) -> None:
    connection = broker.connect(priority_order=order)
    queue = Queue("queue")
    declare(connection, queue)
    for priority in ANY_ORDER:
        send(connection, "queue", priority, priority=priority)

    found = Inbox(connection, queue, prefetch=1).take(10)

    assert found == sorted(ANY_ORDER, reverse=order == "rabbitmq")


def test_requeued_message_keeps_its_priority(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", "low", priority=6)
    inbox = Inbox(connection, queue, prefetch=1, ack=False)
    (low,) = inbox.messages(1)
    send(connection, "queue", "high", priority=3)
    send(connection, "queue", "low too", priority=6)
    inbox.consumer.cancel()
    low.requeue()
    inbox.close()

    assert Inbox(connection, queue, prefetch=1).take(3) == ["high", "low", "low too"]
