"""The channels are the layer's own: its stock calls read and write the same messages."""

import asyncio
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import channel_layers
from kombu import Connection, Exchange, Queue

from cq_transport.naming import channel_name
from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare

QUEUE = Queue("queue", Exchange("exchange", type="topic"), "a.*")
COUNT = 6


def receive(alias: str, channel: str, count: int) -> list[dict[str, Any]]:
    """Receive with a stock layer object of its own, as another project would."""

    async def run() -> list[dict[str, Any]]:
        layer = channel_layers[alias]
        if not alias.endswith("memory"):
            layer = channel_layers.make_backend(alias)
        found = [await asyncio.wait_for(layer.receive(channel), 15) for _ in range(count)]
        if hasattr(layer, "close_pools"):
            await layer.close_pools()
        return found

    return async_to_sync(run)()


def put_back(alias: str, channel: str, messages: list[dict[str, Any]]) -> None:
    async def run() -> None:
        layer = channel_layers[alias]
        if not alias.endswith("memory"):
            layer = channel_layers.make_backend(alias)
        for message in messages:
            message.pop("__asgi_channel__", None)
            await layer.send(channel, message)
        if hasattr(layer, "close_pools"):
            await layer.close_pools()

    async_to_sync(run)()


def test_stock_receive_reads_messages(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    send(connection, "queue", *range(COUNT), headers={"h": "v"})

    messages = receive(broker.alias, channel_name(broker.namespace, "queue"), COUNT)

    assert {message["type"] for message in messages} == {"cq.message"}
    assert all(message["headers"]["h"] == "v" for message in messages)


def test_stock_receive_reads_routed_messages(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    publish(connection, QUEUE.exchange, "a.b", "routed", priority=4)

    (message,) = receive(broker.alias, channel_name(broker.namespace, "queue", 4), 1)

    assert message["type"] == "cq.message"


def test_messages_go_through_stock_calls(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    channel = channel_name(broker.namespace, "queue")
    bodies = [{"n": n, "text": "ж"} for n in range(COUNT)]
    send(connection, "queue", *bodies, headers={"id": 2**70}, priority=0, serializer="pickle")

    put_back(broker.alias, channel, receive(broker.alias, channel, COUNT))
    messages = Inbox(connection, QUEUE).messages(COUNT)

    assert sorted((message.payload for message in messages), key=lambda body: body["n"]) == bodies
    assert all(message.headers["id"] == 2**70 for message in messages)


def test_stock_send_wakes_a_waiting_consumer(broker: Broker, connection: Connection) -> None:
    declare(connection, QUEUE)
    channel = channel_name(broker.namespace, "queue", 2)
    send(connection, "queue", *range(COUNT), priority=2)
    messages = receive(broker.alias, channel, COUNT)
    inbox = Inbox(connection, QUEUE).settle()

    put_back(broker.alias, channel, messages)

    assert sorted(inbox.take(COUNT)) == list(range(COUNT))


def test_stock_flush_empties_queues(broker: Broker) -> None:
    apart = broker.elsewhere(alias=f"small-{broker.alias}")
    connection = apart.connect()
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()
    send(connection, "queue", "before")
    assert inbox.take() == ["before"]

    async def flush() -> None:
        layer = channel_layers[apart.alias]
        await layer.flush()
        if hasattr(layer, "close_pools"):
            await layer.close_pools()

    async_to_sync(flush)()
    send(connection, "queue", "after")

    assert inbox.take() == ["after"]
