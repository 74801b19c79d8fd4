"""kombu's common integration tests, with their missing assertions, over one broker.

Two groups of its tests cannot pass as they are written, over any virtual transport; they are run as
expected failures, and followed by what they should have said.
"""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Message, Producer, Queue
from kombu.exceptions import OperationalError

from tests.compat.asserted import load
from tests.compat.connections import SCHEME, connect, unreachable, unreachable_url
from tests.compat.sources import source

common: Any = load(source("kombu") / "t" / "integration" / "common.py", "kombu_common")

WRONG_DELIVERY_INFO = (
    "its callback, for all tests of its class, expects exchange '' and routing key 'test'; a "
    "delivery carries the exchange and the routing key it was published with (AMQP's basic.deliver)"
)
NOTHING_DELIVERED = (
    "over Redis' publish and subscribe it passes with no delivery at all: nobody has subscribed "
    "when it publishes, and drain_events() returns at the subscription's confirmation"
)
ONE_EACH = (
    "it expects all messages from one drain_events(); a virtual transport delivers one each, and "
    "kombu's own tests for Redis replace this one"
)
NO_ATTEMPT_LEFT = "autoretry with max_retries=0 makes one attempt, and that is the first URL's"


@pytest.fixture
def connection() -> Iterator[Connection]:
    with connect() as connection:
        yield connection


@pytest.fixture
def invalid_connection() -> Connection:
    return unreachable()


@pytest.fixture
def failover_connection() -> Iterator[Connection]:
    with connect(unreachable_url()) as connection:
        yield connection


class TestBasicFunctionality(common.BasicFunctionality):
    pass


class TestTimeToLive(common.BaseTimeToLive):
    pass


class TestMessage(common.BaseMessage):
    pass


class TestEventLoop(common.BaseEventLoop):
    pass


class TestFailover(common.BaseFailover):
    @pytest.mark.skipif(SCHEME == "channels", reason="it tells URLs by their ports")
    def test_failover_switches_to_alternate_url(self, failover_connection: Connection) -> None:
        super().test_failover_switches_to_alternate_url(failover_connection)

    def test_failover_switches_to_the_url_that_answers(
        self, failover_connection: Connection
    ) -> None:
        dead, live = (Connection(url).as_uri() for url in failover_connection.alt)
        assert failover_connection.as_uri() == dead
        failover_connection.connect()
        assert failover_connection.connected
        assert failover_connection.as_uri() == live


class TestBasicFunctionalityAfterFailover(common.BasicFunctionality):
    """All of the basic tests over a connection whose first URL leads nowhere."""

    @pytest.fixture
    def connection(self, failover_connection: Connection) -> Connection:
        return failover_connection

    @pytest.mark.xfail(reason=NO_ATTEMPT_LEFT, raises=OperationalError)
    def test_autoretry_default_channel(self, connection: Connection) -> None:
        super().test_autoretry_default_channel(connection)


@pytest.mark.xfail(reason=WRONG_DELIVERY_INFO, raises=AssertionError)
class TestExchangeTypesAsWritten(common.BaseExchangeTypes):
    test_publish_empty_exchange = None  # delivers nothing, so it is right

    @pytest.mark.skipif(SCHEME == "redis", reason=NOTHING_DELIVERED)
    def test_fanout(self, connection: Connection) -> None:
        super().test_fanout(connection)


class TestExchangeTypes(common.BaseExchangeTypes):
    """The same, with the delivery info compared to what was published; each delivery is counted."""

    def _consume(self, connection: Connection, queue: Queue) -> None:
        self._taken = 0
        super()._consume(connection, queue)
        assert self._taken == 1

    def _publish(
        self, channel: Any, exchange: Exchange, queues: Any = None, routing_key: Any = None
    ) -> None:
        self._published = (exchange.name, routing_key or "")
        super()._publish(channel, exchange, queues, routing_key)

    def _callback(self, body: Any, message: Message) -> None:
        info = message.delivery_info
        assert (info["exchange"], info["routing_key"]) == self._published
        assert body == {"hello": "world"}
        assert message.content_type == "application/x-python-serialize"
        message.ack()
        assert message.acknowledged
        assert message.payload == body
        self._taken += 1


class TestPriorityAsWritten(common.BasePriority):
    """The order of `redis://`, which is that of `channels://` if nothing else is said."""

    PRIORITY_ORDER = "desc"

    @pytest.mark.xfail(reason=ONE_EACH, raises=IndexError)
    def test_publish_consume(self, connection: Connection) -> None:
        super().test_publish_consume(connection)

    @pytest.mark.xfail(reason=ONE_EACH, raises=IndexError)
    def test_publish_requeue_consume(self, connection: Connection) -> None:
        super().test_publish_requeue_consume(connection)


class Priority:
    """What those two say, with one message for each drain_events()."""

    most, high, low = 0, 3, 6

    def test_publish_consume(self, connection: Connection) -> None:
        taken = Taken(connection, "priority_test")
        taken.publish(first=self.low, second=self.high, third=self.low)

        assert taken.drain(3) == ["second", "first", "third"]

        for message in taken.messages:
            message.ack()
        taken.assert_empty()

    def test_publish_requeue_consume(self, connection: Connection) -> None:
        taken = Taken(connection, "priority_requeue_test")
        taken.publish(first=self.low, second=self.high, third=self.low)
        taken.drain(3)

        for message in taken.messages:
            message.requeue()
        taken.publish(fourth=self.most)

        assert taken.drain(4) == ["fourth", "second", "first", "third"]
        redelivered = [bool(m.delivery_info.get("redelivered")) for m in taken.messages]
        assert redelivered == [False, True, True, True]


class TestPriority(Priority):
    pass


@pytest.mark.skipif(SCHEME == "redis", reason="Celery's Redis transport has one order")
class TestPriorityAsRabbitmq(Priority):
    most, high, low = 9, 6, 3

    @pytest.fixture
    def connection(self) -> Iterator[Connection]:
        with connect(priority_order="rabbitmq") as connection:
            yield connection


@pytest.mark.skipif(SCHEME == "redis", reason="Celery's Redis transport has one order")
class TestPriorityAsRabbitmqAsWritten(TestPriorityAsWritten):
    PRIORITY_ORDER = "asc"

    @pytest.fixture
    def connection(self) -> Iterator[Connection]:
        with connect(priority_order="rabbitmq") as connection:
            yield connection


class Taken:
    """A queue, and the messages that `drain` has taken from it."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.queue = Queue(name, routing_key=name, max_priority=10)
        self.messages: list[Message] = []

    def publish(self, **priorities: int) -> None:
        producer = Producer(self.connection)
        for body, priority in priorities.items():
            options = {"priority": priority, "declare": [self.queue], "serializer": "json"}
            producer.publish(body, exchange="", routing_key=self.queue.routing_key, **options)

    def drain(self, count: int) -> list[Any]:
        """Take `count` messages, one with each drain_events(), and return their bodies."""
        self.messages.clear()
        with self._consumer():
            for number in range(count):
                self.connection.drain_events(timeout=5)
                assert len(self.messages) == number + 1
        return [message.payload for message in self.messages]

    def assert_empty(self) -> None:
        with self._consumer(), pytest.raises(socket.timeout):
            self.connection.drain_events(timeout=0.5)

    def _consumer(self) -> Consumer:
        return Consumer(
            self.connection, [self.queue], on_message=self.messages.append, accept=["json"]
        )
