"""Names of any length and alphabet, and no two of them the same."""

import pytest
from kombu import Connection, Exchange, Queue

from cq_transport.naming import channel_name
from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import declare
from tests.extent import extent

LONG = "long" * 75  # 300 characters
NAMES = [
    "plain",
    "Plain",
    "PLAIN",
    "celery@host.celery.pidbox",
    "celery_40host.celery.pidbox",
    "celery-host.celery.pidbox",
    "with space",
    "with  space",
    "with_space",
    "with_20space",
    "with_5F20space",
    " with space",
    "почта",
    "Почта",
    "邮件",
    "📬",
    "e\u0301",
    "\u00e9",
    "a.b",
    "a..b",
    "a-b",
    "a_b",
    "a__b",
    "a/b",
    "a:b",
    "a!b",
    "a$b",
    "plain_p9",
    "plain_5Fp9",
    "plain$inflight",
    "_x",
    "_h",
    "_",
    ".",
    "-",
    "*",
    "#",
    "\x00",
    "\n",
    "'\"\\",
    "%s{}",
    LONG,
    LONG[:-1],
    LONG + "a",
    LONG + "b",
    LONG[:-1] + "ж",
    "я" * 300,
    "я" * 299 + "а",
]


def some(broker: Broker) -> list[str]:
    """Return the names to try; where there are several hosts, each look takes a moment."""
    return NAMES[:: extent(4, 1)] if broker.backend.has_several_hosts else NAMES


def test_queue_names(broker: Broker, connection: Connection) -> None:
    names = some(broker)
    declare(connection, *map(Queue, names))
    for number, name in enumerate(names):
        send(connection, name, number)

    found = {name: broker.contents(connection, Queue(name)) for name in names}
    assert found == {name: [number] for number, name in enumerate(names)}


def test_names_do_not_look_like_priorities(broker: Broker, connection: Connection) -> None:
    names = ["queue", *(f"queue_p{n}" for n in range(10)), *(f"queue_5Fp{n}" for n in range(10))]
    declare(connection, *map(Queue, names))
    for priority in range(10):
        send(connection, "queue", priority, priority=priority)

    assert [broker.contents(connection, Queue(name)) for name in names[1:]] == [[]] * 20


def test_names_do_not_look_like_channels(broker: Broker, connection: Connection) -> None:
    names = [
        channel_name(broker.namespace, name, priority) for name in NAMES for priority in (0, 1)
    ]
    declare(connection, Queue("plain"), *map(Queue, names))

    send(connection, "plain", "mine")

    assert all(broker.contents(connection, Queue(name)) == [] for name in names[:8])
    assert broker.contents(connection, Queue("plain")) == ["mine"]


def check_exchange_names(broker: Broker, connection: Connection, kind: str) -> None:
    exchanges = [Exchange(name, type=kind) for name in some(broker)]
    queues = [Queue(f"{kind} {n}", exchange, "key") for n, exchange in enumerate(exchanges)]
    declare(connection, *queues)
    for number, exchange in enumerate(exchanges):
        publish(connection, exchange, "key", number)

    found = [broker.contents(connection, Queue(queue.name)) for queue in queues]
    assert found == [[number] for number in range(len(queues))]


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_exchange_names(broker: Broker, connection: Connection, kind: str) -> None:
    check_exchange_names(broker, connection, kind)


def test_fanout_exchange_names(broker: Broker, connection: Connection) -> None:
    check_exchange_names(broker, connection, "fanout")


def test_routing_keys(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="direct")
    keys = some(broker)
    queues = [Queue(f"queue {n}", exchange, key) for n, key in enumerate(keys)]
    declare(connection, *queues)
    for number, key in enumerate(keys):
        publish(connection, exchange, key, number)

    found = [broker.contents(connection, Queue(queue.name)) for queue in queues]
    assert found == [[number] for number in range(len(keys))]
