"""A publisher never hangs: a layer that is gone, or is silent, is an error in bounded time."""

from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from tests.conformance.backends import REDIS_LAYER, ROOMY
from tests.conformance.broker import send
from tests.conformance.inbox import Inbox, declare
from tests.conformance.watchdog import ends
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.usefixtures("transport_alone")

QUEUE = Queue("queue")
RETRIES = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
QUICK = {"publish_timeout": 0.5}


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Callable[..., Connection]]:
    layer = {"BACKEND": REDIS_LAYER, "CONFIG": {"hosts": [server.unix_url], **ROOMY}}
    opened: list[Connection] = []

    def connect(**options: object) -> Connection:
        opened.append(Connection("channels://mortal", transport_options={**QUICK, **options}))
        return opened[-1]

    with override_settings(CHANNEL_LAYERS={"mortal": layer}):
        yield connect
        if not server.running:
            server.start()
        for connection in opened:
            connection.release()


def publish(connection: Connection, *bodies: object) -> None:
    send(connection, "queue", *bodies, retry=True, retry_policy=RETRIES)


@pytest.mark.parametrize("confirm", [False, True])
def test_publisher_of_a_layer_that_is_gone(
    server: RedisServer, connect: Callable[..., Connection], confirm: bool
) -> None:
    connection = connect(confirm_publish=confirm)
    declare(connection, QUEUE)
    publish(connection, "before")
    server.kill()

    # A burst may go on for a moment before the first of its messages is missed.
    with pytest.raises(OperationalError):
        ends(lambda: publish(connection, *range(100_000)))


def test_publisher_of_a_layer_that_is_silent(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    connection = connect()
    declare(connection, QUEUE)
    server.freeze()
    try:
        with pytest.raises(OperationalError):
            ends(lambda: publish(connection, *range(100_000)))
    finally:
        server.thaw()


def test_first_connection_to_a_layer_that_is_gone(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    server.kill()
    connection = connect()

    with pytest.raises(OperationalError):
        ends(lambda: connection.ensure_connection(max_retries=1, interval_start=0))
    with pytest.raises(OperationalError):
        ends(lambda: publish(connection, "message"))


def test_publisher_goes_on_when_the_layer_is_back(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    connection = connect()
    declare(connection, QUEUE)
    publish(connection, "before")
    server.restart(keep=True)

    ends(lambda: publish(connection, "after"))

    assert Inbox(connect(), QUEUE).take(2) == ["before", "after"]


def test_consumer_goes_on_when_the_layer_is_back(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    connection, other = connect(), connect()
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()
    for number in range(3):
        server.restart(keep=False)
        ends(lambda number=number: publish(other, number))
        assert inbox.take() == [number]


def test_consumer_goes_on_after_its_connection_was_killed(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    connection, other = connect(), connect()
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()
    for number in range(20):
        server.kill_clients()
        ends(lambda number=number: publish(other, number))
        assert inbox.take() == [number]


def test_consumer_goes_on_after_a_flush(
    server: RedisServer, connect: Callable[..., Connection]
) -> None:
    connection, other = connect(), connect()
    declare(connection, QUEUE)
    inbox = Inbox(connection, QUEUE).settle()
    for number in range(5):
        server.flush()
        ends(lambda number=number: publish(other, number))
        assert inbox.take() == [number]
