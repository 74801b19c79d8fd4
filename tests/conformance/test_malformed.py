"""Foreign and broken messages on a queue's channel do not stop its consumer."""

from typing import Any

import msgpack
import pytest
from asgiref.sync import async_to_sync
from channels.layers import channel_layers
from kombu import Connection, Queue

from cq_transport.naming import channel_name
from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare
from tests.servers.redis import RedisServer

QUEUE = Queue("queue")
FOREIGN: list[dict[str, Any]] = [
    {"type": "websocket.send", "text": "hello"},
    {},
    {"type": None},
    {"type": "cq.message"},
    {"type": "cq.message", "body": 1, "headers": 3, "properties": []},
    {"type": "cq.message", "body": "x", "headers": {}, "properties": {}},
    {"type": "cq.message", "body": None, "headers": None, "properties": None, "meta": "{"},
    {"type": "cq.message", "body": "%", "body64": True, "headers": {}, "properties": {}},
    {"type": "cq.message", "body": "", "headers": {}, "properties": {"delivery_info": 5}},
    {"type": "cq.message", "body": "", "headers": {}, "properties": {"expiration": "soon"}},
    {"type": ["cq.message"], "headers": {"a": {}}, "content-type": {}, "content-encoding": 3},
]
RAW = [
    b"",
    b"garbage",
    b"\xff" * 40,
    b"\x00" * 12,
    b"0" * 12 + b"{",
    b"0" * 12 + msgpack.packb([1, 2, 3]),
    b"0" * 12 + msgpack.packb("cq.message"),
    b"0" * 12 + msgpack.packb({1: 2}),
    b"0" * 12 + msgpack.packb({"type": "cq.message"})[:-3],
]


@pytest.mark.parametrize("prefetch", [0, 1])
def test_foreign_messages(broker: Broker, connection: Connection, prefetch: int) -> None:
    declare(connection, QUEUE)
    layer = channel_layers[broker.alias]
    channel = channel_name(broker.namespace, "queue")
    inbox = Inbox(connection, QUEUE, prefetch=prefetch, ack=False).settle()
    for message in FOREIGN:
        async_to_sync(layer.send)(channel, message)
    send(connection, "queue", "good")

    assert read_until_good(inbox)


def read_until_good(inbox: Inbox) -> bool:
    """Take messages, the decodable ones among the broken too, until a good one comes."""
    while True:
        (message,) = inbox.messages(1)
        try:
            good = message.content_type == "text/plain" and message.payload == "good"
        finally:
            message.ack()
        if good:
            return True


@pytest.mark.parametrize("prefetch", [0, 1])
def test_raw_bytes(
    broker: Broker, connection: Connection, redis_server: RedisServer, prefetch: int
) -> None:
    declare(connection, QUEUE)
    layer = channel_layers[broker.alias]
    inbox = Inbox(connection, QUEUE, prefetch=prefetch).settle()
    for score, raw in enumerate(RAW):
        key = layer.prefix + channel_name(broker.namespace, "queue")
        redis_server.run("ZADD", key, score, raw)
    send(connection, "queue", "good")

    assert inbox.take() == ["good"]


def test_broken_message_is_got_as_nothing(broker: Broker, connection: Connection) -> None:
    (queue,) = declare(connection, QUEUE)
    layer = channel_layers[broker.alias]
    async_to_sync(layer.send)(channel_name(broker.namespace, "queue"), FOREIGN[0])
    send(connection, "queue", "good")

    found = [queue.get(no_ack=True) for _ in range(3)]

    assert [message.payload for message in found if message is not None] == ["good"]
