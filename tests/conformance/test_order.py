"""Messages of one publisher and one priority arrive in the order of their publishing."""

import threading

import pytest
from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare
from tests.extent import extent

MANY = extent(300, 1_000)


@pytest.mark.parametrize("prefetch", [0, 1, 7])
def test_fifo(broker: Broker, connection: Connection, prefetch: int) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    count = MANY if prefetch != 1 else 200
    send(connection, "queue", *range(count))

    assert Inbox(connection, queue, prefetch=prefetch).take(count) == list(range(count))


def test_fifo_through_an_exchange(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="topic")
    queue = Queue("queue", exchange, "#")
    declare(connection, queue)
    publish(connection, exchange, "key", *range(MANY))

    assert Inbox(connection, queue, prefetch=50).take(MANY) == list(range(MANY))


def test_fifo_while_consuming(broker: Broker, connection: Connection, other: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    inbox = Inbox(connection, queue, prefetch=10)
    found = []
    for start in range(0, 300, 30):
        send(other, "queue", *range(start, start + 30))
        found += inbox.take(30)

    assert found == list(range(300))


def test_nothing_is_lost_between_publishers(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    connections = [broker.connect() for _ in range(4)]
    threads = [
        threading.Thread(target=send, args=(one, "queue", *([number, n] for n in range(200))))
        for number, one in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    found = Inbox(connection, queue, prefetch=20).take(800, timeout=60)
    for thread in threads:
        thread.join()

    assert sorted(found) == [[number, n] for number in range(4) for n in range(200)]


def test_order_of_each_publisher(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    connections = [broker.connect() for _ in range(3)]
    threads = [
        threading.Thread(target=send, args=(one, "queue", *([number, n] for n in range(200))))
        for number, one in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    found = Inbox(connection, queue).take(600)
    for thread in threads:
        thread.join()

    for number in range(3):
        assert [n for one, n in found if one == number] == list(range(200))


def test_threads_share_a_connection_for_publishing(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    publishing = broker.connect()
    threads = [
        threading.Thread(target=send, args=(publishing, "queue", *range(n, n + 100)))
        for n in range(0, 400, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(Inbox(connection, queue).take(400)) == list(range(400))
