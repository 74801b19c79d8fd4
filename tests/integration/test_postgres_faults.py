"""Publishing and consuming over PostgreSQL while connections are cut: nothing lost or repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from kombu import Connection, Consumer, Producer, Queue
from kombu.asynchronous.hub import Hub

import cq_transport
from tests.extent import extent
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

QUEUE = Queue("faults", routing_key="faults")
#: Ends every connection of clients but that of the one who asks.
CUT = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
#: Lets every transaction that puts or takes a message wait with its commit for a lock.
HOLD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT OR DELETE ON channels_postgres_message
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
    SELECT pg_advisory_lock(1);
"""
#: The sessions that wait for it.
HELD = """
    SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Fault(NamedTuple):
    """Something that goes wrong again and again while `happens()` is entered.

    Each time waits for `progress`: a machine on which it takes longer to connect than until the
    next fault would come to nothing.
    """

    happens: Callable[[], AbstractContextManager[None]]
    numbers: range  # what is published
    progress: threading.Event


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    with Proxy(f"127.0.0.1:{postgres_server.port}") as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def database(make_layer_database: Callable[[], dict[str, Any]], proxy: Proxy, settings: Any) -> str:
    """The layer's database, of which this process knows by the proxy alone."""
    cq_transport.register()
    found = make_layer_database()
    config = {**found, "PORT": proxy.port, "TIME_ZONE": "UTC", "expiry": 3600}
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels_postgres"]
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_postgres.core.PostgresChannelLayer", "CONFIG": config}
    }
    name: str = found["NAME"]
    return name


@pytest.fixture
def held_commits(
    postgres_server: PostgresServer, database: str, proxy: Proxy
) -> Callable[[Callable[[], Any]], Any]:
    """Return the result of an action whose first connection is lost while its server commits, and
    goes on to do so.
    """

    def run(action: Callable[[], Any]) -> Any:
        with (
            psycopg.connect(postgres_server.dsn(database), autocommit=True) as gate,
            ThreadPoolExecutor(1) as thread,
        ):
            gate.execute(HOLD)
            running = thread.submit(action)
            first = wait_until(lambda: gate.execute(HELD).fetchall(), 30, "a commit")
            proxy.cut()
            wait_until(
                lambda: running.done() or set(gate.execute(HELD).fetchall()) - set(first),
                30,
                "the repetition",
            )
            gate.execute("SELECT pg_advisory_unlock(1)")
            return running.result(30)

    return run


@pytest.fixture(params=["ended sessions", "lost answers"])
def fault(request: Any, postgres_server: PostgresServer, proxy: Proxy) -> Fault:
    progress = threading.Event()

    @contextmanager
    def ended_sessions() -> Iterator[None]:
        with (
            psycopg.connect(postgres_server.dsn(), autocommit=True) as connection,
            repeatedly(lambda: connection.execute(CUT), 0.005, progress) as cuts,
        ):
            yield
        assert sum(cut.fetchall()[0][0] for cut in cuts) > 5, "hardly a session was ended"

    @contextmanager
    def lost_answers() -> Iterator[None]:
        proxy.set_delay(0, back=0.005)  # so that the server has done more than its client knows
        with repeatedly(proxy.cut, 0.05, progress) as cuts:
            yield
        proxy.set_delay(0)
        assert len(cuts) > 5, "hardly an answer was lost"

    if request.param == "lost answers":
        return Fault(lost_answers, range(extent(200, 500)), progress)
    return Fault(ended_sessions, range(extent(400, 1000)), progress)


@contextmanager
def repeatedly(
    action: Callable[[], Any], interval: float, progress: threading.Event
) -> Iterator[list[Any]]:
    """Do something after each progress, in a thread; yield the list of what it returned."""
    results: list[Any] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(interval):
            if progress.wait(interval):
                progress.clear()
                results.append(action())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        stop.set()
        thread.join()


def publish(connection: Connection, fault: Fault) -> None:
    producer = Producer(connection)
    for number in fault.numbers:
        producer.publish(
            number,
            routing_key=QUEUE.name,
            declare=[QUEUE],
            retry=True,
            retry_policy={"interval_start": 0.05, "interval_max": 0.05, "max_retries": 200},
        )
        fault.progress.set()


def numbers_in(connection: Connection) -> list[int]:
    bound, found = QUEUE(connection.default_channel), []
    while (message := bound.get(no_ack=True)) is not None:
        found.append(message.payload)
    return found


class Found:
    """What a consumer was given."""

    def __init__(self, progress: threading.Event) -> None:
        self.numbers: list[int] = []
        self._progress = progress

    def __call__(self, body: int, message: Any) -> None:
        self.numbers.append(body)
        message.ack()
        self._progress.set()

    def consumer(self, connection: Connection) -> Consumer:
        return Consumer(connection, [QUEUE], callbacks=[self], prefetch_count=8)


def test_publishing_under_faults(fault: Fault) -> None:
    with Connection("channels://") as connection:
        with fault.happens():
            publish(connection, fault)
        assert sorted(numbers_in(connection)) == list(fault.numbers)


def test_publishing_what_is_consumed_before_its_answer_is_lost(
    postgres_server: PostgresServer, database: str, proxy: Proxy
) -> None:
    consumed = f"DELETE FROM channels_postgres_message WHERE channel LIKE '%.{QUEUE.name}'"
    with (
        psycopg.connect(postgres_server.dsn(database), autocommit=True) as consumer,
        Connection("channels://") as connection,
        ThreadPoolExecutor(1) as thread,
    ):
        QUEUE(connection.default_channel).declare()
        producer = Producer(connection)
        proxy.set_delay(0, back=60)
        publishing = thread.submit(producer.publish, 1, routing_key=QUEUE.name)
        wait_until(lambda: consumer.execute(consumed).rowcount, 30, "the message")
        proxy.set_delay(0)
        proxy.cut()
        publishing.result(30)
        assert numbers_in(connection) == []


def test_publishing_while_a_commit_is_late(held_commits: Callable[..., Any]) -> None:
    with Connection("channels://") as connection:
        QUEUE(connection.default_channel).declare()
        producer = Producer(connection)
        held_commits(lambda: producer.publish(1, routing_key=QUEUE.name))
        assert numbers_in(connection) == [1]


def test_getting_while_a_commit_is_late(held_commits: Callable[..., Any]) -> None:
    with Connection("channels://") as connection:
        Producer(connection).publish(1, routing_key=QUEUE.name, declare=[QUEUE])
        found = held_commits(lambda: numbers_in(connection))
        assert [*found, *numbers_in(connection)] == [1]


def test_consuming_under_faults(fault: Fault) -> None:
    found = Found(fault.progress)
    with Connection("channels://") as connection:
        publish(connection, fault)
        with fault.happens(), found.consumer(connection):
            while len(found.numbers) < len(fault.numbers):
                connection.drain_events(timeout=30)
    assert sorted(found.numbers) == list(fault.numbers)


def test_getting_under_faults(fault: Fault) -> None:
    found: list[int] = []
    with Connection("channels://") as connection:
        publish(connection, fault)
        bound = QUEUE(connection.default_channel)
        with fault.happens():
            while len(found) < len(fault.numbers):
                try:
                    message = bound.get(no_ack=True)
                except connection.connection_errors:
                    continue
                assert message is not None, f"nothing after {len(found)} messages"
                found.append(message.payload)
                fault.progress.set()
    assert sorted(found) == list(fault.numbers)


def test_an_event_loop_under_faults(fault: Fault) -> None:
    found, hub = Found(fault.progress), Hub()
    with Connection("channels://") as connection:
        publish(connection, fault)
        with fault.happens(), found.consumer(connection):
            connection.register_with_event_loop(hub)

            def turn() -> bool:
                hub.run_once()
                return len(found.numbers) >= len(fault.numbers)

            wait_until(turn, 60, "all messages", interval=0)
        connection.transport.unregister_from_event_loop(connection.connection, hub)
    hub.close()
    assert sorted(found.numbers) == list(fault.numbers)
