"""A pool's threads that cannot wake the event loop, as before kombu 5.7."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous import Hub, set_event_loop

import cq_transport
from cq_transport.lookout import LONGEST
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

QUEUE = Queue("heard", routing_key="heard")


class DeafHub(Hub):  # type: ignore[misc]
    """A loop that takes every thread for its own."""

    _loop_thread = property(lambda self: threading.get_ident(), lambda self, value: None)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("cq_transport.transport.HUB_WAKES", False)
    hub = DeafHub()
    yield hub
    hub.close()
    set_event_loop(None)


def test_an_acknowledgement_is_heard_in_time(
    clean_redis: RedisServer, hub: Hub, settings: Any
) -> None:
    cq_transport.register()
    backend = "channels_redis.core.RedisChannelLayer"
    layer = {"BACKEND": backend, "CONFIG": {"hosts": [clean_redis.url], "expiry": 3600}}
    settings.CHANNEL_LAYERS = {"default": layer}
    arrived: list[Any] = []
    with Connection("channels://") as connection:
        with Consumer(connection, [QUEUE], on_message=arrived.append, prefetch_count=2):
            Producer(connection).publish("message", routing_key=QUEUE.name)
            connection.register_with_event_loop(hub)
            wait_until(lambda: hub.run_once() or arrived, 10, "the message")
            polls = _polls(hub)
            for _ in range(10):
                hub.run_once()
            assert max(polls) <= LONGEST

            # As a thread of a pool does it.
            thread = threading.Thread(target=hub.call_soon, args=(arrived[0].ack,))
            thread.start()
            thread.join()
            hub.run_once()
            assert arrived[0].acknowledged
            for _ in range(10):
                hub.run_once()
            assert polls[-1] > LONGEST
        connection.transport.unregister_from_event_loop(connection.connection, hub)


def _polls(hub: Hub) -> list[float]:
    """Note for how long the loop is to poll, from its next start on."""
    waits: list[float] = []
    poller = hub.poller

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(poller, name)

        def poll(self, timeout: float) -> Any:
            waits.append(timeout)
            return poller.poll(min(timeout, LONGEST))

    hub.poller = Noting()
    hub._loop = None
    return waits
