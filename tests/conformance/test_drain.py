"""Waiting for events: it ends in time, and at once when there is something."""

import socket
import threading

import pytest
from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare
from tests.conformance.watchdog import ends


def test_drain_times_out(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))
    Inbox(connection, Queue("queue"))

    for _ in range(3):
        with pytest.raises(socket.timeout):
            connection.drain_events(timeout=0.05)


def test_drain_times_out_without_consumers(broker: Broker, connection: Connection) -> None:
    connection.default_channel.queue_declare("queue")

    with pytest.raises(socket.timeout):
        connection.drain_events(timeout=0.05)


def test_drain_times_out_when_the_window_is_full(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))
    send(connection, "queue", 1, 2)
    Inbox(connection, Queue("queue"), prefetch=1, ack=False).messages(1)

    with pytest.raises(socket.timeout):
        connection.drain_events(timeout=0.05)


def test_drain_wakes_when_a_message_comes(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    declare(connection, Queue("queue"))
    inbox = Inbox(connection, Queue("queue")).settle()
    for number in range(5):
        publisher = threading.Timer(0.05, send, (other, "queue", number))
        publisher.start()
        connection.drain_events(timeout=15)
        publisher.join()
        assert inbox.take() == [number]


def test_drain_without_timeout(broker: Broker, connection: Connection, other: Connection) -> None:
    declare(connection, Queue("queue"))
    inbox = Inbox(connection, Queue("queue")).settle()
    publisher = threading.Timer(0.05, send, (other, "queue", "message"))
    publisher.start()

    ends(connection.drain_events)
    publisher.join()

    assert inbox.take() == ["message"]


def test_publish_inside_a_callback(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    found = []

    def on_message(message: object) -> None:
        found.append(message.payload)  # type: ignore[attr-defined]
        message.ack()  # type: ignore[attr-defined]
        if message.payload:  # type: ignore[attr-defined]
            send(connection, "queue", message.payload - 1)  # type: ignore[attr-defined]

    send(connection, "queue", 20)
    with connection.Consumer(queue, on_message=on_message):
        while len(found) < 21:
            connection.drain_events(timeout=15)

    assert found == list(range(20, -1, -1))


def test_exception_in_a_callback_loses_nothing(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", *range(10))

    def on_message(message: object) -> None:
        raise LookupError("on purpose")

    connection.Consumer(queue, on_message=on_message).consume()
    with pytest.raises(LookupError):
        connection.drain_events(timeout=15)
    connection.release()

    assert sorted(broker.contents(other, queue)) == list(range(10))
