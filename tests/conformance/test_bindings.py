"""Bindings are known to every connection and every process."""

import pytest
from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish
from tests.conformance.inbox import Inbox, declare

KINDS = {"direct": "a.b", "topic": "a.*"}


@pytest.mark.parametrize("kind", KINDS)
def test_binding_of_another_connection(
    broker: Broker, connection: Connection, other: Connection, kind: str
) -> None:
    exchange = Exchange("exchange", type=kind)
    queue = Queue("queue", exchange, KINDS[kind])
    declare(connection, queue)

    publish(other, exchange, "a.b", "found")

    assert broker.contents(connection, queue) == ["found"]


@pytest.mark.parametrize("kind", KINDS)
def test_binding_of_another_process(broker: Broker, connection: Connection, kind: str) -> None:
    exchange = Exchange("exchange", type=kind)
    queue = Queue("queue", exchange, KINDS[kind])
    declare(connection, queue)

    broker.other_process("publish", exchange="exchange", kind=kind, key="a.b", bodies=["found"])

    assert Inbox(connection, queue).take() == ["found"]


def test_fanout_from_another_process(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="fanout")
    inbox = Inbox(connection, Queue("fan", exchange)).settle()

    broker.other_process("publish", exchange="exchange", kind="fanout", key="", bodies=["found"])

    assert inbox.take() == ["found"]


def test_publisher_need_not_declare_the_exchange(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    queue = Queue("queue", Exchange("exchange", type="topic"), "a.*")
    declare(connection, queue)

    publish(other, Exchange("exchange", type="topic", no_declare=True), "a.b", "found")

    assert broker.contents(connection, queue) == ["found"]


def test_binding_made_after_the_first_publish(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    exchange = Exchange("exchange", type="topic")
    publish(other, exchange, "a.b", "too early")
    queue = Queue("queue", exchange, "a.*")
    declare(connection, queue)

    publish(other, exchange, "a.b", "in time")

    assert broker.contents(connection, queue) == ["in time"]


def test_binding_outlives_its_connection(broker: Broker) -> None:
    exchange = Exchange("exchange", type="topic")
    queue = Queue("queue", exchange, "a.*")
    with broker.connect() as first:
        declare(first, queue)

    with broker.connect() as second:
        publish(second, exchange, "a.b", "found")
        assert broker.contents(second, queue) == ["found"]


@pytest.mark.parametrize("kind", KINDS)
def test_unbind(broker: Broker, connection: Connection, kind: str) -> None:
    exchange = Exchange("exchange", type=kind)
    queue = Queue("queue", exchange, KINDS[kind])
    stays = Queue("queue", exchange, "c.d")
    declare(connection, queue, stays)

    (bound,) = declare(connection, queue)
    bound.unbind_from(exchange, routing_key=KINDS[kind])
    publish(connection, exchange, "a.b", "unbound")
    publish(connection, exchange, "c.d", "bound")

    assert broker.contents(connection, Queue("queue")) == ["bound"]


def test_unbind_fanout(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="fanout")
    (queue,) = declare(connection, Queue("fan", exchange))

    queue.unbind_from(exchange)
    publish(connection, exchange, "", "unbound")

    assert broker.contents(connection, Queue("fan")) == []


def test_unbind_from_another_process(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="topic")
    declare(connection, Queue("queue", exchange, "a.*"))

    broker.other_process("unbind", queue="queue", exchange="exchange", kind="topic", key="a.*")
    publish(connection, exchange, "a.b", "unbound")

    assert broker.contents(connection, Queue("queue")) == []


def test_management_lists_bindings(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="topic")
    declare(connection, Queue("queue", exchange, "a.*"))

    found = connection.get_manager().get_bindings()

    expected = {"destination": "queue", "source": "exchange", "routing_key": "a.*"}
    assert expected in list(found)
