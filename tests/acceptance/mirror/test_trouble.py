"""No trouble of the rows is a trouble of the tasks."""

import logging
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cq_compat import batching
from cq_compat.observing import observer
from tests.acceptance.mirror.stage import DEADLINE, Stage, migrate, staged
from tests.acceptance.tasks import send
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

COUNT = 100
AWAY = "are not written at present"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def run(stage: Stage, count: int = COUNT) -> list[str]:
    """Publish tasks and return their ids once each has run."""
    ids = [send(stage.app, "note").id for _ in range(count)]
    stage.project.wait_recorded(ids, "run", DEADLINE)
    return ids


def test_a_database_that_is_slow_and_one_that_is_away(
    tmp_path: Path,
    postgres: PostgresServer,
    clean_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, batching.__name__)
    with (
        staged(tmp_path, postgres, clean_redis, CELERY_TASK_IGNORE_RESULT=True) as stage,
        stage.project.worker("-c", "2") as worker,
    ):
        name = stage.project.settings["DATABASES"]["default"]["NAME"]
        ids = run(stage)
        stage.wait_all(ids, "SUCCESS")

        with psycopg.connect(postgres.dsn(name)) as connection:
            connection.execute("LOCK TABLE cq_task IN ACCESS EXCLUSIVE MODE")
            ids = run(stage)
            assert caplog.records == [] and AWAY not in worker.log
        stage.wait_all(ids, "SUCCESS")

        postgres.kill()
        ids = run(stage)
        wait_until(lambda: AWAY in caplog.text, DEADLINE)
        worker.wait_log(AWAY)
        ids += run(stage)
        postgres.start()
        stage.reconnect()

        stage.wait_all(ids, "SUCCESS")
        said = [found for found in caplog.records if found.name == batching.__name__]
        assert [found.levelname for found in said] == ["WARNING", "INFO"]
        assert worker.log.count(AWAY) <= 3  # once for each of its processes
        assert "Traceback" not in worker.log
        assert worker.terminate() == 0


def test_tables_that_are_made_later(
    tmp_path: Path,
    postgres: PostgresServer,
    clean_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    observer.close()
    settings = {"CELERY_TASK_IGNORE_RESULT": True}
    with (
        staged(tmp_path, postgres, clean_redis, migrated=False, **settings) as stage,
        stage.project.worker("-c", "2") as worker,
    ):
        ids = run(stage)
        wait_until(lambda: caplog.records, DEADLINE)
        worker.wait_log(AWAY)
        migrate(stage.project)

        stage.wait_all(ids, "SUCCESS")
        assert [found.levelname for found in caplog.records] == ["WARNING"]
        wait_until(lambda: worker.nodename in stage.workers(), DEADLINE)
        assert worker.terminate() == 0


def test_a_process_that_ends_while_the_database_is_away(
    tmp_path: Path, postgres: PostgresServer, clean_redis: RedisServer
) -> None:
    with staged(tmp_path, postgres, clean_redis, migrated=False) as stage:
        done = stage.project.python(
            "-c",
            "import django; django.setup()\n"
            "from tests.project.tasks import noop\n"
            "print([noop.delay().id for _ in range(20)])",
        )

        assert done.stdout.count("-") == 20 * 4
        assert "Traceback" not in done.stderr
