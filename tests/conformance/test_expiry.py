"""Messages die of age: by their own time to live, or by their queue's."""

import time

import pytest
from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare
from tests.servers.waiting import wait_until


def pass_by(seconds: float) -> None:
    """Let so much time pass: time is what these cases are about."""
    over = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > over, seconds + 5, "time to pass")


def test_message_s_own_time_to_live(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", "short", expiration=0.05)
    send(connection, "queue", "long", expiration=600)
    send(connection, "queue", "endless")
    pass_by(0.2)

    assert sorted(broker.contents(connection, queue)) == ["endless", "long"]


def test_task_that_expires_is_left_to_the_worker(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    headers = {"task": "name", "expires": "2020-01-01T00:00:00+00:00"}
    send(connection, "queue", "task", headers=headers, expiration=0.05)
    pass_by(0.2)

    assert broker.contents(connection, queue) == ["task"]


def test_queue_s_time_to_live(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue", message_ttl=0.3)
    declare(connection, queue)
    send(connection, "queue", "old")
    pass_by(0.5)

    assert broker.contents(connection, queue) == []


def test_the_shorter_time_to_live_counts(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue", message_ttl=600)
    declare(connection, queue)
    send(connection, "queue", "short", expiration=0.05)
    pass_by(0.2)

    assert broker.contents(connection, queue) == []


def test_expired_messages_take_no_room_in_the_window(
    broker: Broker, connection: Connection
) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", *range(10), expiration=0.05)
    send(connection, "queue", "alive", "and well")
    pass_by(0.2)

    found = Inbox(connection, queue, prefetch=1).take(2)

    assert sorted(found) == ["alive", "and well"]


@pytest.mark.parametrize("way", ["get", "requeue"])
def test_expired_message_is_not_got(broker: Broker, connection: Connection, way: str) -> None:
    (queue,) = declare(connection, Queue("queue"))
    lifetime = 2.0 if way == "requeue" else 0.3  # enough to be taken
    send(connection, "queue", "short", expiration=lifetime)
    if way == "requeue":
        inbox = Inbox(connection, Queue("queue"), prefetch=1, ack=False)
        (message,) = inbox.messages(1)
        inbox.consumer.cancel()
        message.requeue()
    pass_by(lifetime + 0.2)

    assert queue.get() is None
