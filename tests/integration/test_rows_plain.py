"""Messages that are no tasks go their way beside the rows."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from cq_compat.ledger import ledger
from cq_transport import current_ledger, use_ledger


@pytest.fixture
def connection(layers: dict[str, Any]) -> Iterator[Connection]:
    before = current_ledger()
    use_ledger(ledger)
    with Connection(f"channels://default/{uuid4().hex[:8]}") as connection:
        yield connection
    use_ledger(before)


def test_to_a_queue_that_was_only_declared(connection: Connection) -> None:
    with connection.SimpleQueue("plain") as queue:
        queue.put("here and back")
        message = queue.get(timeout=10)
        message.ack()
    assert message.payload == "here and back"
