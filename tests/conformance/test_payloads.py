"""Bodies, headers and properties arrive as they were sent."""

import os
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from kombu import Connection, Message, Queue

from tests.conformance.broker import Broker, send
from tests.conformance.inbox import Inbox, declare

NESTED = {"text": "naïve ж 邮 📬 \x00", "list": [1, -2.5, None, True, {"deep": []}], "": ""}


def sent(connection: Connection, body: Any, **options: Any) -> Message:
    """Return the message that arrives when `body` is published."""
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", body, **options)
    (message,) = Inbox(connection, queue).messages(1)
    return message


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml", "msgpack"])
def test_serializers(broker: Broker, connection: Connection, serializer: str) -> None:
    assert sent(connection, NESTED, serializer=serializer).payload == NESTED


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "lzma"])
def test_compression(broker: Broker, connection: Connection, compression: str) -> None:
    body = {"text": "repeated " * 1000}

    message = sent(connection, body, compression=compression)

    assert message.payload == body
    assert len(message.body) < 9000 or message.headers.get("compression")


@pytest.mark.parametrize("size", [1, 255, 4096, 100_000])
def test_binary_bodies(broker: Broker, connection: Connection, size: int) -> None:
    body = os.urandom(size)
    options = {"content_type": "application/octet-stream", "content_encoding": "binary"}

    assert bytes(sent(connection, body, **options).body) == body


def test_every_byte(broker: Broker, connection: Connection) -> None:
    body = bytes(range(256))
    options = {"content_type": "application/octet-stream", "content_encoding": "binary"}

    assert bytes(sent(connection, body, **options).body) == body


def test_text_body(broker: Broker, connection: Connection) -> None:
    options = {"content_type": "text/plain", "content_encoding": "utf-8"}

    assert sent(connection, "plain ж 📬", **options).payload == "plain ж 📬"


@pytest.mark.parametrize("body", [None, [], {}, 0, False])
def test_empty_bodies(broker: Broker, connection: Connection, body: Any) -> None:
    assert sent(connection, body).payload == body


def test_empty_text(broker: Broker, connection: Connection) -> None:
    assert not sent(connection, "", serializer="json").payload


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_ten_megabytes(broker: Broker, connection: Connection, serializer: str) -> None:
    body = "0123456789" * (1 << 20)

    assert sent(connection, body, serializer=serializer).payload == body


def test_ten_megabytes_of_bytes(broker: Broker, connection: Connection) -> None:
    body = os.urandom(10 << 20)
    options = {"content_type": "application/octet-stream", "content_encoding": "binary"}

    assert bytes(sent(connection, body, **options).body) == body


HEADERS = {
    "datetime": datetime(2024, 2, 29, 12, 30, 45, 123456, tzinfo=timezone.utc),
    "uuid": UUID(int=7),
    "decimal": Decimal("1.20"),
    "unicode": "ключ 📬",
    "huge": 2**200,
    "negative": -(2**70),
    "float": 0.1,
    "none": None,
    "nested": {"list": [1, {"deep": datetime(2000, 1, 1, tzinfo=timezone.utc)}]},
    "ж": "unicode key",
    "long": "x" * 10_000,
}


def test_headers(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    for name, value in HEADERS.items():
        send(connection, "queue", name, headers={name: value, "other": 1})

    found = {m.payload: dict(m.headers) for m in Inbox(connection, queue).messages(len(HEADERS))}

    assert found == {name: {name: value, "other": 1} for name, value in HEADERS.items()}


def test_headers_of_a_binary_message(broker: Broker, connection: Connection) -> None:
    body = bytes(range(256))

    message = sent(
        connection,
        body,
        headers=HEADERS,
        content_type="application/octet-stream",
        content_encoding="binary",
    )

    assert bytes(message.body) == body
    assert {name: message.headers[name] for name in HEADERS} == HEADERS


def test_headers_survive_a_requeue(broker: Broker, connection: Connection) -> None:
    queue = Queue("queue")
    declare(connection, queue)
    send(connection, "queue", NESTED, headers=HEADERS, serializer="pickle", compression="zlib")
    inbox = Inbox(connection, queue, ack=False)

    inbox.messages(1)[0].requeue()
    (message,) = inbox.messages(1)

    assert message.payload == NESTED
    assert {name: message.headers[name] for name in HEADERS} == HEADERS


def test_properties(broker: Broker, connection: Connection) -> None:
    message = sent(
        connection,
        {"a": "body"},
        correlation_id="id ж",
        reply_to="a reply queue",
        priority=4,
        message_id="m",
        delivery_mode=2,
    )

    found = {name: message.properties[name] for name in ("correlation_id", "reply_to", "priority")}
    assert found == {"correlation_id": "id ж", "reply_to": "a reply queue", "priority": 4}
    assert message.properties["delivery_mode"] == 2
    assert message.content_type == "application/json"
    assert message.content_encoding == "utf-8"
