"""A forked child uses the broker without disturbing its parent."""

from kombu import Connection, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare
from tests.servers.forks import fork, prove_end

QUEUE = Queue("queue")


def publish_anew(url: str, options: dict[str, object], bodies: list[object]) -> None:
    with Connection(url, transport_options=options) as connection:
        send(connection, "queue", *bodies)


def test_child_publishes_on_a_connection_of_its_own(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()
    send(connection, "queue", "parent")
    child = fork.Process(
        target=publish_anew, args=(broker.url, broker.transport_options(), [1, 2, 3])
    )
    child.start()
    prove_end(child)

    assert sorted(inbox.take(4), key=str) == [1, 2, 3, "parent"]


def test_child_publishes_on_its_parent_s_connection(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    declare(connection, QUEUE)
    inbox = Inbox(other, QUEUE).settle()
    send(connection, "queue", "parent")
    child = fork.Process(target=send, args=(connection, "queue", 1, 2, 3))
    child.start()
    prove_end(child)
    send(connection, "queue", "parent again")

    assert sorted(inbox.take(5), key=str) == [1, 2, 3, "parent", "parent again"]


def test_parent_goes_on_after_its_child(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE, prefetch=2).settle()
    for number in range(5):
        child = fork.Process(
            target=publish_anew, args=(broker.url, broker.transport_options(), [number])
        )
        child.start()
        prove_end(child)
        send(connection, "queue", number)
        assert inbox.take(2) == [number, number]


def test_child_closes_its_parent_s_connection(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE, prefetch=2, ack=False).settle()
    send(other, "queue", "held")
    assert inbox.take(1) == ["held"]
    child = fork.Process(target=connection.close)
    child.start()
    prove_end(child)
    send(other, "queue", "next")

    assert inbox.take(1) == ["next"]
