"""Messages that cannot be delivered, or are refused, go to another queue if one is named."""

import time
import warnings

from kombu import Connection, Exchange, Queue

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare
from tests.servers.waiting import wait_until

DEAD = Exchange("dead", type="direct")


def with_dead_letters(name: str = "queue", key: str | None = None, **options: object) -> Queue:
    arguments = {"x-dead-letter-exchange": DEAD.name}
    if key is not None:
        arguments["x-dead-letter-routing-key"] = key
    return Queue(name, Exchange("alive"), "key", queue_arguments=arguments, **options)


def check_unroutable(broker: Broker, kind: str) -> None:
    connection = broker.connect(deadletter_queue="unroutable")
    exchange = Exchange("exchange", type=kind)
    queue = Queue("queue", exchange, "known")
    declare(connection, queue)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kombu warns of what is undeliverable
        publish(connection, exchange, "unknown", "unroutable")
    publish(connection, exchange, "known", "routed")

    assert broker.contents(connection, Queue("unroutable")) == ["unroutable"]
    assert broker.contents(connection, queue) == ["routed"]


def test_unroutable_message_goes_to_the_option_s_queue(broker: Broker) -> None:
    check_unroutable(broker, "direct")


def test_unroutable_message_of_a_topic_goes_to_the_option_s_queue(broker: Broker) -> None:
    check_unroutable(broker, "topic")


def test_rejected_message(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "refused")
    declare(connection, dead, with_dead_letters(key="refused"))
    send(connection, "queue", "rejected", "accepted")

    first, second = Inbox(connection, with_dead_letters(key="refused"), ack=False).messages(2)
    for message in (first, second):
        message.reject() if message.payload == "rejected" else message.ack()

    assert broker.contents(connection, dead) == ["rejected"]


def test_rejected_message_keeps_its_key(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "key")
    declare(connection, dead, with_dead_letters())
    publish(connection, Exchange("alive"), "key", "rejected")

    (message,) = Inbox(connection, with_dead_letters(), ack=False).messages(1)
    message.reject()

    assert broker.contents(connection, dead) == ["rejected"]


def test_rejected_message_keeps_body_and_headers(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "refused")
    declare(connection, dead, with_dead_letters(key="refused"))
    body = {"big": "x" * 2000}
    send(connection, "queue", body, headers={"h": "v"}, compression="zlib", priority=3)

    (message,) = Inbox(connection, with_dead_letters(key="refused"), ack=False).messages(1)
    message.reject()

    (found,) = Inbox(connection, dead).messages(1)
    assert found.payload == body
    assert found.headers["h"] == "v"


def test_requeued_message_is_not_dead(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "refused")
    queue = with_dead_letters(key="refused")
    declare(connection, dead, queue)
    send(connection, "queue", "again")

    inbox = Inbox(connection, queue, ack=False)
    inbox.messages(1)[0].requeue()
    inbox.messages(1)[0].ack()
    inbox.close()

    assert broker.contents(connection, dead) == []
    assert broker.contents(connection, queue) == []


def test_expired_message(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "late")
    queue = with_dead_letters(key="late")
    declare(connection, dead, queue)
    send(connection, "queue", "expired", expiration=0.05)
    over = time.monotonic() + 0.2
    wait_until(lambda: time.monotonic() > over, what="the message to expire")

    assert broker.contents(connection, queue) == []
    assert broker.contents(connection, dead) == ["expired"]


def test_message_expired_by_its_queue(broker: Broker, connection: Connection) -> None:
    dead = Queue("dead letters", DEAD, "late")
    queue = with_dead_letters(key="late", message_ttl=0.2)
    declare(connection, dead, queue)
    send(connection, "queue", "expired")
    over = time.monotonic() + 0.4
    wait_until(lambda: time.monotonic() > over, what="the message to expire")

    inbox = Inbox(connection, queue, dead)
    (message,) = inbox.messages(1)

    assert message.payload == "expired"
    assert message.delivery_info["routing_key"] == "late"
