"""Consumers of one queue share its messages, each of which comes to one of them."""

import threading

from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare

QUEUE = Queue("queue")


def test_two_consumers_share(broker: Broker, connection: Connection, other: Connection) -> None:
    declare(connection, QUEUE)
    boxes = [Inbox(connection, QUEUE, prefetch=1), Inbox(other, QUEUE, prefetch=1)]
    send(broker.connect(), "queue", *range(40))

    found: list[list[int]] = [[], []]
    while sum(map(len, found)) < 40:
        for bodies, box in zip(found, boxes, strict=True):
            box.drain(0.2)
            bodies += box.take(len(box.arrived))

    assert sorted(found[0] + found[1]) == list(range(40))
    assert all(len(bodies) > 5 for bodies in found)


def test_consumers_in_threads(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    count, lock = 600, threading.Lock()
    found: list[int] = []

    def consume(own: Connection) -> None:
        inbox = Inbox(own, QUEUE, prefetch=8)
        while len(found) < count:
            inbox.drain(0.1)
            bodies = inbox.take(len(inbox.arrived))
            with lock:
                found.extend(bodies)
        inbox.close()

    threads = [threading.Thread(target=consume, args=(broker.connect(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    send(connection, "queue", *range(count))
    for thread in threads:
        thread.join(30)

    assert sorted(found) == list(range(count))


def test_consumers_in_two_processes(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    send(connection, "queue", *range(200))

    theirs = broker.other_process("take", queue="queue", count=100)
    mine = Inbox(connection, QUEUE).take(100)

    assert sorted(theirs + mine) == list(range(200))


def test_processes_publish_and_consume(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()

    broker.other_process("send", queue="queue", bodies=list(range(100)))

    assert sorted(inbox.take(100)) == list(range(100))


def test_a_busy_queue_does_not_starve_another(broker: Broker, connection: Connection) -> None:
    busy, quiet = Queue("busy"), Queue("quiet")
    declare(connection, busy, quiet)
    send(connection, "busy", *range(100))
    send(connection, "quiet", "rare")

    found = Inbox(connection, busy, quiet, prefetch=1).take(101)

    assert found.index("rare") < 50
