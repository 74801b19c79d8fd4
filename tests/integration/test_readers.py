"""Readers whose process is late, or whose consumer has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

import pytest
from kombu import Connection, Producer, Queue

import cq_transport
from cq_transport.layers.base import Delivery, Reader
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

QUEUE = Queue("late", routing_key="late")


@pytest.fixture(params=["redis", "postgres"])
def connection(request: pytest.FixtureRequest, settings: Any) -> Iterator[Connection]:
    cq_transport.register()
    settings.CHANNEL_LAYERS = {"default": request.getfixturevalue(f"{request.param}_layer")}
    with Connection("channels://") as connection:
        QUEUE(connection.default_channel).declare()
        yield connection


@pytest.fixture
def redis_layer(clean_redis: RedisServer) -> dict[str, Any]:
    return {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [clean_redis.url], "expiry": 3600},
    }


@pytest.fixture
def postgres_layer(
    make_layer_database: Callable[[], dict[str, Any]], settings: Any
) -> dict[str, Any]:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels_postgres"]
    return {
        "BACKEND": "channels_postgres.core.PostgresChannelLayer",
        "CONFIG": {**make_layer_database(), "TIME_ZONE": "UTC", "expiry": 3600},
    }


class Taker:
    """A consumer that always has room for one more, and its reader."""

    def __init__(self, connection: Connection) -> None:
        self._transport = connection.transport
        self.found: list[Delivery] = []
        self.reader: Reader = self._transport.layer.reader(self, self._transport.watcher)
        self.reader.consume([QUEUE.name])

    def room(self) -> int:
        return 1

    def window(self) -> int:
        return 1

    def arrived(self, deliveries: Sequence[Delivery]) -> None:
        self.found += deliveries

    def turn(self) -> None:
        """Do what an event loop does, which looks at its timers first."""
        self.reader.tick()
        self._transport.watcher.wait(0.01)


@pytest.fixture
def taker(connection: Connection) -> Iterator[Taker]:
    taker = Taker(connection)
    yield taker
    taker.reader.close()


def publish(connection: Connection) -> None:
    Producer(connection).publish("message", routing_key=QUEUE.name)


def size(connection: Connection) -> int:
    found: int = connection.transport.layer.size(QUEUE.name)
    return found


def wait_past(seconds: float) -> None:
    """Return when so many seconds are over, as a process does that had other things to do."""
    end = monotonic() + seconds
    wait_until(lambda: monotonic() > end, 2 * seconds + 1)


def test_a_reader_that_was_stopped_takes_nothing(connection: Connection, taker: Taker) -> None:
    taker.turn()
    taker.reader.stop()
    publish(connection)
    for _ in range(3):
        taker.turn()
        taker.reader.stop()
    assert not taker.found
    assert size(connection) == 1


@pytest.mark.parametrize("connection", ["redis"], indirect=True)
def test_a_message_that_is_read_late(
    connection: Connection,
    taker: Taker,
    clean_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cq_transport.layers.redis.reader.WAIT_TIMEOUT", 1)
    monkeypatch.setattr("cq_transport.layers.redis.reader.DEAD_AFTER", 0.2)

    def waits() -> Any:
        taker.turn()
        return clean_redis.info("clients")["blocked_clients"] == 1

    wait_until(waits, 10)
    publish(connection)
    wait_until(lambda: size(connection) == 0, 10)
    wait_past(1.3)
    wait_until(lambda: taker.turn() or taker.found, 10)


@pytest.mark.parametrize("connection", ["postgres"], indirect=True)
def test_an_answer_that_is_read_late(
    connection: Connection,
    taker: Taker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publish(connection)
    with monkeypatch.context() as patch:
        patch.setattr("cq_transport.layers.postgres.reader.DEAD_AFTER", 0.1)
        taker.reader.pump()
        wait_past(0.5)
        taker.turn()
    wait_until(lambda: taker.turn() or taker.found, 10)
    assert "lost" not in caplog.text
