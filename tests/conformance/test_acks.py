"""Messages are acknowledged, rejected, put back and delivered again."""

import threading

import pytest
from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare

QUEUE = Queue("queue", Exchange("exchange"), "key")


def fill(connection: Connection, *bodies: object) -> None:
    declare(connection, QUEUE)
    publish(connection, QUEUE.exchange, "key", *bodies)


def test_acknowledged_message_is_gone(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")
    with Inbox(connection, QUEUE) as inbox:
        inbox.take()

    assert broker.contents(connection, QUEUE) == []


def test_rejected_message_is_gone(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")
    with Inbox(connection, QUEUE, ack=False) as inbox:
        inbox.messages(1)[0].reject()

    assert broker.contents(connection, QUEUE) == []


def test_first_delivery_is_no_redelivery(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")

    (message,) = Inbox(connection, QUEUE).messages(1)

    assert not message.delivery_info.get("redelivered")


def test_requeued_message_comes_again(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")
    inbox = Inbox(connection, QUEUE, ack=False)

    inbox.messages(1)[0].requeue()
    (message,) = inbox.messages(1)

    assert message.payload == "message"
    assert message.delivery_info["redelivered"] is True


def test_requeued_message_comes_to_another(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    fill(connection, "message")
    inbox = Inbox(connection, QUEUE, ack=False)
    (message,) = inbox.messages(1)
    inbox.consumer.cancel()

    message.requeue()
    (again,) = Inbox(other, QUEUE).messages(1)

    assert again.payload == "message"
    assert again.delivery_info["redelivered"] is True


def test_requeued_message_keeps_its_place(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(5))
    inbox = Inbox(connection, QUEUE, prefetch=2, ack=False)
    first, second = inbox.messages(2)
    inbox.consumer.cancel()

    for message in (second, first):
        message.requeue()
    inbox.close()

    assert broker.contents(connection, QUEUE) == list(range(5))


def test_delivery_info(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")
    inbox = Inbox(connection, QUEUE, ack=False)

    (message,) = inbox.messages(1)
    info = dict(message.delivery_info)
    message.requeue()
    (again,) = inbox.messages(1)

    for found in (info, again.delivery_info):
        assert found["exchange"] == "exchange"
        assert found["routing_key"] == "key"


def test_delivery_tags_are_different(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(20))
    messages = Inbox(connection, QUEUE, ack=False).messages(20)

    assert len({message.delivery_tag for message in messages}) == 20


def test_acks_out_of_order(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(6))
    inbox = Inbox(connection, QUEUE, ack=False)
    messages = inbox.messages(6)

    for message in messages[::-2]:
        message.ack()
    left = sorted(message.payload for message in messages[::2])
    inbox.close()

    assert sorted(broker.contents(connection, QUEUE)) == left


def test_ack_from_another_thread(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(20))
    inbox = Inbox(connection, QUEUE, prefetch=4, ack=False)
    found = []
    while len(found) < 20:
        (message,) = inbox.messages(1)
        found.append(message.payload)
        thread = threading.Thread(target=message.ack)
        thread.start()
        thread.join()
    inbox.close()

    assert sorted(found) == list(range(20))
    assert broker.contents(connection, QUEUE) == []


def test_recover_brings_everything_again(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(3))
    inbox = Inbox(connection, QUEUE, ack=False)
    inbox.messages(3)

    inbox.consumer.recover(requeue=True)

    again = inbox.messages(3)
    assert sorted(message.payload for message in again) == [0, 1, 2]
    assert all(message.delivery_info["redelivered"] for message in again)


def test_messages_without_ack_are_gone(broker: Broker, connection: Connection) -> None:
    fill(connection, *range(3))
    with Inbox(connection, QUEUE, no_ack=True) as inbox:
        inbox.take(3)

    assert broker.contents(connection, QUEUE) == []


@pytest.mark.parametrize("again", ["ack", "reject"])
def test_a_message_is_settled_once(broker: Broker, connection: Connection, again: str) -> None:
    fill(connection, "message")
    (message,) = Inbox(connection, QUEUE, ack=False).messages(1)
    message.ack()

    with pytest.raises(message.MessageStateError):
        getattr(message, again)()


def test_many_requeues(broker: Broker, connection: Connection) -> None:
    fill(connection, "message")
    inbox = Inbox(connection, QUEUE, ack=False)
    for _ in range(30):
        (message,) = inbox.messages(1)
        message.requeue()
    (message,) = inbox.messages(1)
    message.ack()
    inbox.close()

    assert broker.contents(connection, QUEUE) == []


def test_another_queue_of_the_exchange_gets_no_copy_of_what_is_requeued(
    broker: Broker, connection: Connection
) -> None:
    twin = Queue("twin", QUEUE.exchange, "key")
    fill(connection)
    declare(connection, twin)
    publish(connection, QUEUE.exchange, "key", "message")
    inbox = Inbox(connection, QUEUE, ack=False)

    inbox.messages(1)[0].requeue()
    inbox.messages(1)[0].ack()

    assert broker.contents(connection, twin) == ["message"]


def test_anonymous_exchange_and_requeue(broker: Broker, connection: Connection) -> None:
    fill(connection)
    send(connection, "queue", "message")
    inbox = Inbox(connection, QUEUE, ack=False)

    inbox.messages(1)[0].requeue()

    assert [message.payload for message in inbox.messages(1)] == ["message"]
