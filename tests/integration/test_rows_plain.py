"""Messages that are no tasks go their way beside the rows."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from tests.servers.publishing import kept_in_rows


@pytest.fixture
def connection(layers: dict[str, Any]) -> Iterator[Connection]:
    with kept_in_rows(), Connection(f"channels://default/{uuid4().hex[:8]}") as connection:
        yield connection


def test_to_a_queue_that_was_only_declared(connection: Connection) -> None:
    with connection.SimpleQueue("plain") as queue:
        queue.put("here and back")
        message = queue.get(timeout=10)
        message.ack()
    assert message.payload == "here and back"
