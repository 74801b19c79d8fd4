"""Single messages are got without a consumer."""

from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import declare


def test_empty_queue_gives_nothing(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))

    assert queue.get() is None


def test_get_and_ack(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    send(connection, "queue", "a", "b", headers={"h": 1})

    found = []
    while (message := queue.get()) is not None:
        found.append(message.payload)
        assert message.headers["h"] == 1
        message.ack()

    assert sorted(found) == ["a", "b"]


def test_get_most_urgent_first(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    send(connection, "queue", "low", priority=7)
    send(connection, "queue", "high", priority=2)

    assert [queue.get(no_ack=True).payload for _ in range(2)] == ["high", "low"]


def test_got_message_goes_back_if_not_acknowledged(broker: Broker, other: Connection) -> None:
    declare(other, Queue("queue"))
    send(other, "queue", "message")
    with broker.connect() as connection:
        (queue,) = declare(connection, Queue("queue"))
        assert queue.get().payload == "message"
        assert queue.get() is None

    (queue,) = declare(other, Queue("queue"))
    assert queue.get(no_ack=True).payload == "message"
    assert queue.get() is None


def test_got_message_is_rejected_and_put_back(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, Queue("queue"))
    send(connection, "queue", "message")

    queue.get().requeue()
    message = queue.get()
    assert message.delivery_info["redelivered"] is True

    message.reject()
    assert queue.get() is None
