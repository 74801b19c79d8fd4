"""Applications in different namespaces of one layer do not see each other."""

import pytest
from amqp.exceptions import ChannelError
from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare


def test_queues_are_apart(broker: Broker, connection: Connection) -> None:
    elsewhere = broker.elsewhere()
    stranger = elsewhere.connect()
    queue = Queue("queue", Exchange("exchange", type="topic"), "a.*")
    declare(connection, queue)
    declare(stranger, queue)

    send(connection, "queue", "mine")
    publish(stranger, queue.exchange, "a.b", "theirs")

    assert broker.contents(connection, queue) == ["mine"]
    assert elsewhere.contents(stranger, queue) == ["theirs"]


def test_fanouts_are_apart(broker: Broker, connection: Connection) -> None:
    stranger = broker.elsewhere().connect()
    queue = Queue("fan", Exchange("exchange", type="fanout"))
    mine, theirs = Inbox(connection, queue).settle(), Inbox(stranger, queue).settle()

    publish(connection, queue.exchange, "", "mine")
    publish(stranger, queue.exchange, "", "theirs")

    assert mine.take() == ["mine"] and mine.rest() == []
    assert theirs.take() == ["theirs"] and theirs.rest() == []


def test_a_stranger_s_queue_is_missing(broker: Broker, connection: Connection) -> None:
    declare(connection, Queue("queue"))
    send(connection, "queue", "mine")

    with pytest.raises(ChannelError):
        broker.elsewhere().connect().default_channel.queue_declare("queue", passive=True)


def test_a_purge_stays_at_home(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", "mine")
    (theirs,) = declare(broker.elsewhere().connect(), queue)

    theirs.purge()
    theirs.delete()

    assert broker.contents(connection, queue) == ["mine"]


def test_namespaces_and_queues_are_not_confused(broker: Broker) -> None:
    long = "n" * 40 + broker.namespace
    pairs = [
        (broker.namespace, "x.queue"),
        (f"{broker.namespace}.x", "queue"),
        (f"{broker.namespace}_x", "queue"),
        (f"{broker.namespace}_2Ex", "queue"),
        (f"{broker.namespace} x", "queue"),
        (f"{broker.namespace}ж", "queue"),
        (broker.namespace.upper(), "x.queue"),
        (f"{long}1", "queue"),
        (f"{long}2", "queue"),
    ]
    brokers = [broker.elsewhere(namespace) for namespace, _ in pairs]
    connections = [one.connect() for one in brokers]
    for number, ((_, queue), connection) in enumerate(zip(pairs, connections, strict=True)):
        declare(connection, Queue(queue))
        send(connection, queue, number)

    found = [
        one.contents(connection, Queue(queue))
        for one, connection, (_, queue) in zip(brokers, connections, pairs, strict=True)
    ]
    assert found == [[number] for number in range(len(pairs))]
