"""A consumer holds no more messages than its prefetch count."""

from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare

QUEUE = Queue("queue")


def fill(connection: Connection, count: int) -> None:
    declare(connection, QUEUE)
    send(connection, "queue", *range(count))


def test_prefetch_count_holds(broker: Broker, connection: Connection) -> None:
    fill(connection, 20)
    inbox = Inbox(connection, QUEUE, prefetch=3, ack=False)

    assert len(inbox.rest()) == 3


def test_each_ack_makes_room_for_one(broker: Broker, connection: Connection) -> None:
    fill(connection, 20)
    inbox = Inbox(connection, QUEUE, prefetch=3, ack=False)
    first, second, _ = inbox.messages(3)

    first.ack()
    assert len(inbox.rest()) == 1
    second.reject()
    assert len(inbox.rest()) == 1


def test_prefetch_count_is_raised(broker: Broker, connection: Connection) -> None:
    fill(connection, 20)
    inbox = Inbox(connection, QUEUE, prefetch=2, ack=False)
    inbox.messages(2)

    inbox.consumer.qos(prefetch_count=5)

    assert len(inbox.rest()) == 3


def test_prefetch_count_is_lowered(broker: Broker, connection: Connection) -> None:
    fill(connection, 20)
    inbox = Inbox(connection, QUEUE, prefetch=4, ack=False)
    messages = inbox.messages(4)

    inbox.consumer.qos(prefetch_count=2)
    for message in messages[:2]:
        message.ack()
    assert inbox.rest() == []

    messages[2].ack()
    assert len(inbox.rest()) == 1


def test_no_prefetch_count_is_no_limit(broker: Broker, connection: Connection) -> None:
    fill(connection, 50)
    inbox = Inbox(connection, QUEUE, ack=False)

    assert sorted(m.payload for m in inbox.messages(50)) == list(range(50))


def test_limit_is_lifted(broker: Broker, connection: Connection) -> None:
    fill(connection, 30)
    inbox = Inbox(connection, QUEUE, prefetch=1, ack=False)
    inbox.messages(1)

    inbox.consumer.qos(prefetch_count=0)

    assert len(inbox.messages(29)) == 29


def test_what_is_not_delivered_is_there_for_others(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    fill(connection, 20)
    inbox = Inbox(connection, QUEUE, prefetch=3, ack=False)
    held = [message.payload for message in inbox.messages(3)]

    found = Inbox(other, QUEUE).take(17)

    assert sorted(held + found) == list(range(20))


def test_prefetch_count_holds_over_several_queues(broker: Broker, connection: Connection) -> None:
    queues = [Queue(f"queue {number}") for number in range(3)]
    declare(connection, *queues)
    for queue in queues:
        send(connection, queue.name, *range(5))
    inbox = Inbox(connection, *queues, prefetch=4, ack=False)

    assert len(inbox.rest()) == 4


def test_each_channel_has_its_own_count(broker: Broker, connection: Connection) -> None:
    other = Queue("other")
    fill(connection, 10)
    declare(connection, other)
    send(connection, "other", *range(10))
    one = Inbox(connection, QUEUE, prefetch=2, ack=False)
    two = Inbox(connection, other, prefetch=5, ack=False)

    assert [len(one.take(2)), len(two.take(5))] == [2, 5]
    assert [one.rest(), two.rest()] == [[], []]
