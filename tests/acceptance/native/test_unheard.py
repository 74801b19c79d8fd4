"""No body suffers from a database that does not take what it says."""

from pathlib import Path
from typing import Any

from django.db import connections

from cq_compat import states
from tests.acceptance.native.stage import TIMEOUT, Stage
from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

ALIAS, QUEUE = "unheard", "unheard"


def test_what_is_said_waits_for_a_database_that_is_away(
    tmp_path: Path, redis_server: RedisServer, django_db_blocker: Any
) -> None:
    gate = tmp_path / "gate"
    with PostgresServer() as postgres:
        database = postgres.django(postgres.create_database())
        project = Project.on_redis(
            tmp_path,
            redis_server,
            DATABASES={"default": database},
            CQ={},
            CELERY_RESULT_BACKEND="cq",
        )
        project.python("-m", "django", "migrate", "cq", "--verbosity=0")
        worker = project.worker("-c", "1", "-Q", QUEUE, "-I", "tests.project.telling")
        with (
            django_db_blocker.unblock(),
            declared(**{ALIAS: database}),
            project.client() as app,
            worker,
        ):
            stage = Stage(app, queue=QUEUE)
            task_id = stage.send("say_without_database", str(gate), 2_000)
            project.wait_recorded([task_id], "start", TIMEOUT)
            postgres.kill()
            gate.touch()
            project.wait_recorded([task_id], "end", TIMEOUT)
            postgres.start()

            connections[ALIAS].close()
            wait_until(lambda: stage.row(task_id).state == states.SUCCESS, TIMEOUT)
            stage.wait_said(task_id, *(str(number) for number in range(1_000, 2_000)))
            wait_until(lambda: stage.row(task_id).progress.percent == 100, TIMEOUT)
