"""Publishing and consuming while connections are cut: nothing is lost and nothing comes twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous.hub import Hub

import cq_transport
from cq_transport.naming import channel_name
from tests.extent import extent
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

COUNT = extent(1_500, 10_000)


@pytest.fixture(autouse=True)
def layer(clean_redis: RedisServer, settings: Any) -> None:
    cq_transport.register()
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [clean_redis.url], "capacity": 100_000, "expiry": 3600},
        }
    }


@contextmanager
def cut_connections(server: RedisServer, reached: Callable[[], int]) -> Iterator[None]:
    """Cut every connection of clients, again and again: whenever so much more was `reached` that
    there are enough cuts, be the machine slow or fast.
    """
    stop, cuts = threading.Event(), 0

    def run() -> None:
        nonlocal cuts
        due = 0
        with redis.Redis.from_url(server.url) as client:
            while not stop.wait(0.001):
                if (now := reached()) >= due:
                    cuts += client.client_kill_filter(_type="normal", skipme=True)
                    due = now + COUNT // 40

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert cuts > 10, "hardly a connection was cut"


def publish(connection: Connection, queue: Queue, numbers: range) -> None:
    producer = Producer(connection)
    for number in numbers:
        producer.publish(
            number,
            routing_key=queue.name,
            declare=[queue],
            retry=True,
            retry_policy={"interval_start": 0.05, "interval_max": 0.05, "max_retries": 50},
        )


def stored(server: RedisServer) -> int:
    return int(server.run("ZCARD", f"asgi{channel_name('', 'faults')}"))


def numbers_in(connection: Connection, queue: Queue) -> list[int]:
    bound, found = queue(connection.default_channel), []
    while (message := bound.get(no_ack=True)) is not None:
        found.append(message.payload)
    return found


def test_publishing_under_cut_connections(clean_redis: RedisServer) -> None:
    queue = Queue("faults", routing_key="faults")
    with Connection("channels://") as connection:
        with cut_connections(clean_redis, lambda: stored(clean_redis)):
            publish(connection, queue, range(COUNT))
        connection.transport.layer.flush(10)
        assert sorted(numbers_in(connection, queue)) == list(range(COUNT))


def test_consuming_under_cut_connections(clean_redis: RedisServer) -> None:
    queue = Queue("faults", routing_key="faults")
    found: list[int] = []

    def on_message(body: int, message: Any) -> None:
        found.append(body)
        message.ack()

    with Connection("channels://") as connection:
        publish(connection, queue, range(COUNT))
        with (
            cut_connections(clean_redis, lambda: len(found)),
            Consumer(connection, [queue], callbacks=[on_message], prefetch_count=8),
        ):
            while len(found) < COUNT:
                connection.drain_events(timeout=20)
    assert sorted(found) == list(range(COUNT))


def test_an_event_loop_under_cut_connections(clean_redis: RedisServer) -> None:
    queue = Queue("faults", routing_key="faults")
    found: list[int] = []
    hub = Hub()

    def on_message(body: int, message: Any) -> None:
        found.append(body)
        message.ack()

    with Connection("channels://") as connection:
        publish(connection, queue, range(COUNT))
        with (
            cut_connections(clean_redis, lambda: len(found)),
            Consumer(connection, [queue], callbacks=[on_message], prefetch_count=8),
        ):
            connection.register_with_event_loop(hub)

            def turn() -> bool:
                hub.run_once()
                return len(found) >= COUNT

            wait_until(turn, 60, "all messages", interval=0)
        connection.transport.unregister_from_event_loop(connection.connection, hub)
    hub.close()
    assert sorted(found) == list(range(COUNT))


def test_a_connection_that_is_killed_while_a_message_comes(
    own_redis: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cq_transport.layers.redis.publisher.BURST_GAP", 60.0)  # answers can wait
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [own_redis.url]
    queue = Queue("faults", routing_key="faults")
    found: list[int] = []

    def on_message(body: int, message: Any) -> None:
        found.append(body)
        message.ack()

    def drain_until(condition: Callable[[], Any], what: str) -> Any:
        def turn() -> Any:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.01)
            return condition()

        return wait_until(turn, 20, what, interval=0)

    with (
        Connection("channels://") as connection,
        Connection("channels://") as other,
        own_redis.client() as client,
        Consumer(connection, [queue], callbacks=[on_message]),
    ):
        killer = client.connection_pool.make_connection()
        killer.connect()
        publish(other, queue, range(1))
        drain_until(lambda: found, "the first message")

        def waiting() -> list[str]:
            return [found["id"] for found in client.client_list() if "b" in found["flags"]]

        for number in range(1, 6):
            reader = drain_until(waiting, "a reader that waits")[0]
            # The server finds both when it goes on, and does both before it sends anything.
            own_redis.freeze()
            publish(other, queue, range(number, number + 1))
            killer.send_command("CLIENT", "KILL", "ID", reader)
            own_redis.thaw()
            drain_until(lambda number=number: number in found, f"message {number}")
        killer.disconnect()
    assert found == list(range(6))
