"""kombu's simple queues."""

from contextlib import closing

import pytest
from kombu import Connection
from kombu.simple import SimpleBuffer, SimpleQueue

from tests.conformance.broker import Broker


@pytest.fixture(params=["SimpleQueue", "SimpleBuffer"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(connection: Connection, kind: str) -> SimpleQueue | SimpleBuffer:
    return getattr(connection, kind)("simple ж")


def test_simple_put_and_get(broker: Broker, connection: Connection, kind: str) -> None:
    with closing(make(connection, kind)) as queue:
        queue.put({"hello": "world"}, headers={"k1": "v1"})
        message = queue.get(timeout=15)
        message.ack()

    assert message.payload == {"hello": "world"}
    assert message.headers["k1"] == "v1"
    assert message.content_type == "application/json"


def test_simple_get_of_nothing(broker: Broker, connection: Connection, kind: str) -> None:
    with closing(make(connection, kind)) as queue:
        with pytest.raises(queue.Empty):
            queue.get(timeout=0.1)
        with pytest.raises(queue.Empty):
            queue.get_nowait()


def test_simple_size_and_clear(broker: Broker, connection: Connection) -> None:
    with closing(connection.SimpleQueue("simple")) as queue:
        for number in range(4):
            queue.put(number)
        assert len(queue) == 4
        assert queue.clear() == 4
        assert queue.clear() == 0


def test_simple_get_without_waiting(broker: Broker, connection: Connection) -> None:
    with closing(connection.SimpleQueue("simple")) as queue:
        for number in range(4):
            queue.put(number)
        found = []
        for _ in range(4):
            message = queue.get_nowait()
            found.append(message.payload)
            message.ack()

    assert sorted(found) == [0, 1, 2, 3]
