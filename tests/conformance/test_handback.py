"""What is not acknowledged goes back to its queue when its consumer ends."""

import pytest
from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare

QUEUE = Queue("queue")


def fill(connection: Connection, count: int) -> None:
    declare(connection, QUEUE)
    send(connection, "queue", *range(count))


@pytest.mark.parametrize("end", ["channel", "connection"])
def test_unacknowledged_messages_go_back(
    broker: Broker, connection: Connection, other: Connection, end: str
) -> None:
    fill(other, 6)
    inbox = Inbox(connection, QUEUE, ack=False)
    messages = inbox.messages(6)
    done = [messages[0], messages[3]]
    for message in done:
        message.ack()

    inbox.channel.close() if end == "channel" else connection.release()

    left = set(range(6)) - {message.payload for message in done}
    assert sorted(broker.contents(other, QUEUE)) == sorted(left)


def test_messages_go_back_to_their_places(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    fill(other, 10)
    Inbox(connection, QUEUE, prefetch=4, ack=False).messages(4)

    connection.release()

    assert broker.contents(other, QUEUE) == list(range(10))


def test_messages_that_went_back_are_redelivered(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    fill(other, 2)
    Inbox(connection, QUEUE, prefetch=1, ack=False).messages(1)
    connection.release()

    messages = Inbox(other, QUEUE).messages(2)

    redelivered = {m.payload: bool(m.delivery_info.get("redelivered")) for m in messages}
    assert sum(redelivered.values()) == 1


def test_messages_on_their_way_go_back(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    fill(other, 300)
    inbox = Inbox(connection, QUEUE, ack=False)
    for message in inbox.messages(1):
        message.ack()
        done = [message.payload]

    connection.release()

    assert sorted(done + broker.contents(other, QUEUE)) == list(range(300))


def test_prefetched_messages_of_an_idle_consumer_go_back(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    declare(other, QUEUE)
    inbox = Inbox(connection, QUEUE, ack=False).settle()
    send(other, "queue", *range(10))

    inbox.close()
    connection.release()

    assert sorted(broker.contents(other, QUEUE)) == list(range(10))


def test_messages_go_back_when_a_process_ends(broker: Broker, connection: Connection) -> None:
    fill(connection, 5)

    broker.ending_process("take", queue="queue", count=3, ack=False)

    assert sorted(broker.contents(connection, QUEUE)) == list(range(5))


def test_a_connection_is_used_again_after_its_end(broker: Broker, connection: Connection) -> None:
    fill(connection, 3)
    Inbox(connection, QUEUE, ack=False).messages(3)

    connection.close()
    connection.connect()

    assert sorted(broker.contents(connection, QUEUE)) == [0, 1, 2]
