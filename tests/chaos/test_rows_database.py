"""The database crashes and cuts its connections while tasks are published and run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.conftest import migrate
from tests.chaos.stage import Stage
from tests.chaos.stream import Stream
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

#: Tasks that end before, and tasks that end after, each fault.
COUNT = 100


@pytest.fixture(scope="module")
def stage(faulty_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage on a database server that a test may crash."""
    with PostgresServer() as postgres:
        database = postgres.create_database()
        migrate(postgres, database, tmp_path_factory)
        with Stage(tmp_path_factory.mktemp("database"), postgres, faulty_redis, database) as made:
            yield made


@pytest.fixture(autouse=True)
def worker(stage: Stage) -> None:
    stage.worker()


def test_the_database_crashes(stage: Stage) -> None:
    with Stream(stage) as stream:
        for _ in range(2):
            stream.wait_more(COUNT)
            stage.postgres.kill()
            stage.postgres.start()
        stream.wait_more(COUNT)
    stage.wait_finished()
    assert not stage.history().faults


def test_the_connections_to_the_database_are_cut(stage: Stage) -> None:
    with Stream(stage) as stream:
        for _ in range(8):
            stream.wait_more(COUNT // 4)
            stage.postgres.cut_connections()
        stream.wait_more(COUNT)
    stage.wait_finished()
    wait_until(lambda: not stage.history().lost, 10, "nothing to be lost")
    assert not stage.history().faults
