"""What workers without work ask of Redis, and of the database."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

WAITS = 6  # blocking pops to see: each of the worker's readers ends one every second
RENEWALS = 4  # of a worker's lease to see: one every 5 s


def calls(server: RedisServer) -> dict[str, int]:
    """Return how often each command was called; those inside scripts count as well."""
    found = server.info("commandstats").items()
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in found}


def test_idle_worker_sleeps_in_redis(tmp_path: Path, own_redis: RedisServer) -> None:
    project = Project.on_redis(tmp_path, own_redis)
    with project.worker("-c", "2"):
        wait_until(lambda: calls(own_redis).get("bzpopmin", 0) >= 2, 20, "the worker to be idle")
        own_redis.run("CONFIG", "RESETSTAT")
        wait_until(lambda: calls(own_redis).get("bzpopmin", 0) >= WAITS, 60, "the waits", 0.5)
        asked = calls(own_redis)

    # Heartbeats every two seconds, leases every five, one look at the queues behind each wait.
    assert asked["evalsha"] <= 12 * WAITS
    assert asked.get("zpopmin", 0) <= 40 * WAITS


class Statements:
    """The statements that each worker, by its `application_name`, has run since `begin`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._begun_at = 0

    def begin(self) -> None:
        """Count from now on."""
        self._begun_at = len(self._server.log)

    def of(self, name: str) -> Counter[str]:
        """Return what one worker asked, and how often; the beginnings of transactions count."""
        pattern = rf"^{name}\|LOG:  (?:statement|execute [^:]+): (.*)$"
        log = self._server.log[self._begun_at :]
        return Counter(re.findall(pattern, log, re.MULTILINE))

    def renewals(self, name: str) -> int:
        """Return how often a worker has renewed its lease."""
        asked = self.of(name).items()
        return sum(count for text, count in asked if text.startswith("UPDATE cq_worker"))


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that logs every statement with the name of who asks."""
    with PostgresServer(log_statement="all", log_line_prefix="%a|").start() as server:
        yield server


def rows(directory: Path, redis: RedisServer, postgres: PostgresServer, name: str) -> Project:
    """Return a project with rows whose connections have a name."""
    directory.mkdir()
    database = {**postgres.django("rows"), "OPTIONS": {"application_name": name}}
    return Project.on_redis(
        directory, redis, DATABASES={"default": database}, CQ={}, CELERY_RESULT_BACKEND="cq"
    )


def test_idle_workers_hardly_ask_the_database(
    tmp_path: Path, own_redis: RedisServer, own_postgres: PostgresServer
) -> None:
    own_postgres.create_database("rows")
    first, second = (
        rows(tmp_path / name, own_redis, own_postgres, name) for name in ("first", "second")
    )
    first.python("-m", "django", "migrate", "cq", "--verbosity=0")
    statements = Statements(own_postgres)
    with first.worker("-c", "1"), second.worker("-c", "1"):
        wait_until(lambda: statements.renewals("second") >= 2, 30, "the workers to be idle", 0.2)
        statements.begin()
        wait_until(lambda: statements.renewals("second") >= RENEWALS, 60, "renewals", 0.2)
        leader, other = statements.of("first"), statements.of("second")
        with psycopg.connect(own_postgres.dsn("rows")) as connection:
            leases = connection.execute("SELECT count(*) FROM cq_worker").fetchall()

    assert leases == [(2,)]
    assert len(other) == 1, other  # the renewals alone
    # Twice a second, and its own renewals; the seconds are cut somewhere.
    assert leader.total() <= (2 * 5 + 1) * RENEWALS + 2, leader
