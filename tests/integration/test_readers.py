"""Readers whose process is late, or whose consumer has gone."""

from __future__ import annotations

import select
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
#: The time for a process that was stopped for an hour.
LATER = monotonic() + 3600


@pytest.fixture(params=["redis", "postgres"])
def layer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def connection(layer: str, request: pytest.FixtureRequest, settings: Any) -> Iterator[Connection]:
    cq_transport.register()
    settings.CHANNEL_LAYERS = {"default": request.getfixturevalue(f"{layer}_layer")}
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


class Socket:
    """Watches the one descriptor of a reader."""

    has_hub = False
    _fd = -1

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        self._fd, self._on_readable = fd, on_readable

    def unwatch(self, fd: int) -> None:
        self._fd = -1

    def call_soon(self, callback: Callable[[], None]) -> None:
        """The next turn does its work."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """The next turn does its work."""

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait for something to read."""
        return bool(select.select([self._fd], [], [], timeout)[0])

    def read(self) -> None:
        if self.wait(0.01):
            self._on_readable()


class Taker:
    """A consumer that always has room for one more, and its reader."""

    def __init__(self, connection: Connection) -> None:
        self.socket = Socket()
        self.found: list[Delivery] = []
        self.reader: Reader = connection.transport.layer.reader(self, self.socket)
        self.reader.consume([QUEUE.name])

    def room(self) -> int:
        return 1

    def window(self) -> int:
        return 1

    def linger(self, room: int) -> float:
        return 0.0

    def arrived(self, deliveries: Sequence[Delivery]) -> None:
        self.found += deliveries

    def turn(self) -> None:
        """Do what an event loop does, which looks at its timers first."""
        self.reader.tick()
        self.socket.read()


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


def test_a_reader_that_was_stopped_takes_nothing(connection: Connection, taker: Taker) -> None:
    taker.turn()
    taker.reader.stop()
    publish(connection)
    for _ in range(3):
        taker.turn()
        taker.reader.stop()
    assert not taker.found
    assert size(connection) == 1


def test_an_answer_that_is_read_late(
    layer: str,
    connection: Connection,
    taker: Taker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publish(connection)
    taker.reader.pump()
    taker.socket.wait()
    with monkeypatch.context() as patch:
        patch.setattr(f"cq_transport.layers.{layer}.reader.monotonic", lambda: LATER)
        taker.reader.tick()
    wait_until(lambda: taker.turn() or taker.found, 10)
    assert "lost" not in caplog.text
