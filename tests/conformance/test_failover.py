"""A list of brokers: the first that answers is used."""

import pytest
from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox

QUICK = {"interval_start": 0, "interval_step": 0, "max_retries": 4}


def failing_over(broker: Broker, *, as_list: bool) -> Connection:
    gone = "channels://gone" if broker.alias else "redis://127.0.0.1:1/0"
    urls = [gone, broker.url]
    options = broker.transport_options()
    return Connection(urls if as_list else ";".join(urls), transport_options=options)


@pytest.mark.parametrize("as_list", [False, True], ids=["text", "list"])
def test_failover_to_the_second(broker: Broker, as_list: bool) -> None:
    with failing_over(broker, as_list=as_list) as connection:
        connection.ensure_connection(**QUICK)
        queue = Queue("queue")
        send(connection, "queue", "message", declare=[queue])

        assert Inbox(connection, queue).take() == ["message"]


def test_publish_fails_over(broker: Broker) -> None:
    queue = Queue("queue")
    with failing_over(broker, as_list=True) as connection:
        send(connection, "queue", "message", declare=[queue], retry=True, retry_policy=QUICK)

    assert broker.contents(broker.connect(), queue) == ["message"]


def test_first_channel_fails_over(broker: Broker) -> None:
    queue = Queue("queue")
    with failing_over(broker, as_list=True) as connection:
        channel = connection.channel()  # connects
        send(channel, "queue", "message", declare=[queue], retry=True, retry_policy=QUICK)

    assert broker.contents(broker.connect(), queue) == ["message"]
