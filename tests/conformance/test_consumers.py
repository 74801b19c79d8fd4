"""Consumers come and go while a connection lives."""

from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare


def test_cancel_stops_delivery_and_loses_nothing(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    inbox = Inbox(connection, queue, prefetch=2)
    send(other, "queue", *range(5))
    found = inbox.take(5)

    inbox.consumer.cancel()
    send(other, "queue", *range(5, 10))
    assert inbox.rest() == []

    assert sorted(found + broker.contents(other, queue)) == list(range(10))


def test_cancel_amid_a_burst_loses_nothing(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(other, "queue", *range(200))
    inbox = Inbox(connection, queue)
    found = inbox.take(1)

    inbox.consumer.cancel()
    found += inbox.rest()
    inbox.close()

    assert sorted(found + broker.contents(other, queue)) == list(range(200))


def test_cancel_one_queue_of_two(broker: Broker, connection: Connection) -> None:
    one, two = Queue("one"), Queue("two")
    declare(connection, one, two)
    inbox = Inbox(connection, one, two, prefetch=2)

    inbox.consumer.cancel_by_queue("one")
    send(connection, "one", "to nobody")
    send(connection, "two", "to the consumer")

    assert inbox.take() == ["to the consumer"]
    assert inbox.rest() == []
    assert broker.contents(connection, one) == ["to nobody"]


def test_add_a_queue(broker: Broker, connection: Connection) -> None:
    one, two = Queue("one"), Queue("two")
    declare(connection, one, two)
    send(connection, "two", "waits")
    inbox = Inbox(connection, one, prefetch=2).settle()

    inbox.consumer.add_queue(two)
    inbox.consumer.consume()
    send(connection, "one", "comes")

    assert sorted(inbox.take(2)) == ["comes", "waits"]


def test_consume_again_after_cancel(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    inbox = Inbox(connection, queue).settle()
    for number in range(5):
        inbox.consumer.cancel()
        send(connection, "queue", number)
        inbox.consumer.consume()
        assert inbox.take() == [number]


def test_many_queues(broker: Broker, connection: Connection) -> None:
    queues = [Queue(f"queue {number}") for number in range(40)]
    declare(connection, *queues)
    inbox = Inbox(connection, *queues, prefetch=5).settle()
    for queue in queues:
        send(connection, queue.name, queue.name)

    assert sorted(inbox.take(40)) == sorted(queue.name for queue in queues)


def test_consumers_on_two_channels(broker: Broker, connection: Connection) -> None:
    one, two = Queue("one"), Queue("two")
    declare(connection, one, two)
    boxes = [Inbox(connection, one), Inbox(connection, two)]

    send(connection, "one", "first")
    send(connection, "two", "second")

    assert [box.take() for box in boxes] == [["first"], ["second"]]


def test_purged_queue_is_consumed_on(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    inbox = Inbox(connection, Queue("queue")).settle()
    for number in range(3):
        queue.purge()
        send(connection, "queue", number)
        assert inbox.take() == [number]
