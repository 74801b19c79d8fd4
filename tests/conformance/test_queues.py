"""Queues are declared, counted, purged and deleted."""

import pytest
from amqp.exceptions import ChannelError
from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare


def count(connection: Connection, queue: str) -> int:
    return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def test_passive_declaration_of_a_missing_queue(broker: Broker, connection: Connection) -> None:
    with pytest.raises(connection.channel_errors) as caught:
        Queue("missing")(connection.default_channel).queue_declare(passive=True)

    assert isinstance(caught.value, ChannelError)
    assert caught.value.code == 404


def test_passive_declaration_does_not_create(broker: Broker, connection: Connection) -> None:
    for _ in range(2):
        with pytest.raises(ChannelError):
            count(connection, "missing")


def test_passive_declaration_of_an_empty_queue(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))

    assert count(connection, "queue") == 0


def test_passive_declaration_counts(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))
    send(connection, "queue", "a", "b", "c")
    send(connection, "queue", "d", priority=9)

    assert count(connection, "queue") == 4


def test_count_from_another_connection(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    declare(connection, Queue("queue"))
    send(connection, "queue", "a", "b", "c")

    assert count(other, "queue") == 3


def test_count_from_another_process(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))
    send(connection, "queue", "a", "b", "c")

    assert broker.other_process("size", queue="queue") == 3


def test_declaration_again_keeps_messages(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue", Exchange("exchange"), "key")
    declare(connection, queue)
    publish(connection, queue.exchange, "key", "kept")
    declare(connection, queue)

    assert broker.contents(connection, queue) == ["kept"]


def test_queue_without_a_name_gets_one(broker: Broker, connection: Connection) -> None:
    names = {connection.default_channel.queue_declare("").queue for _ in range(2)}

    assert len(names) == 2 and all(names)


def test_purge(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    (full,) = declare(connection, Queue("other"))
    send(connection, "queue", "a", "b")
    send(connection, "queue", "c", priority=5)
    send(connection, "other", "d")

    assert queue.purge() == 3
    assert queue.purge() == 0
    assert broker.contents(connection, queue) == []
    assert broker.contents(connection, full) == ["d"]


def test_purge_leaves_what_is_delivered(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    send(connection, "queue", "delivered", "waiting")
    inbox = Inbox(connection, Queue("queue"), prefetch=1, ack=False)
    (message,) = inbox.messages(1)

    queue.purge()
    message.requeue()

    assert inbox.take() == ["delivered"]


def test_delete_removes_messages_and_bindings(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange")
    (queue,) = declare(connection, Queue("queue", exchange, "key"))
    publish(connection, exchange, "key", "deleted")

    queue.delete()
    publish(connection, exchange, "key", "unroutable")

    with pytest.raises(ChannelError):
        count(connection, "queue")
    assert broker.contents(connection, Queue("queue")) == []


def test_delete_if_empty(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue", Exchange("exchange"), "key"))
    send(connection, "queue", "kept")

    queue.delete(if_empty=True)
    assert count(connection, "queue") == 1

    queue.purge()
    queue.delete(if_empty=True)
    with pytest.raises(ChannelError):
        count(connection, "queue")


def test_delete_of_a_missing_queue(broker: Broker, connection: Connection) -> None:
    connection.default_channel.queue_delete("missing")

    with pytest.raises(ChannelError):
        count(connection, "missing")


def test_auto_delete_queue_serves_its_consumer(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue", Exchange("exchange"), "key", auto_delete=True, exclusive=True)
    inbox = Inbox(connection, queue).settle()

    publish(connection, queue.exchange, "key", "a", "b")

    assert inbox.take(2) == ["a", "b"]
