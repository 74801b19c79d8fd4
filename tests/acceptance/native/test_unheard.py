"""No body suffers where what it says is not taken, and what was taken is not lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import connections

from cq_compat import states
from tests.acceptance.native.stage import TIMEOUT, Stage
from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

ALIAS, QUEUE = "unheard", "unheard"
OPTIONS = ("-c", "1", "-Q", QUEUE, "-I", "tests.project.telling")


class Scene(NamedTuple):
    """A worker with a database of its own, and what is seen of them."""

    stage: Stage
    project: Project
    postgres: PostgresServer
    worker: CeleryWorker


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, django_db_blocker: Any
) -> Iterator[Scene]:
    with PostgresServer() as postgres:
        database = postgres.django(postgres.create_database())
        project = Project.on_redis(
            tmp_path_factory.mktemp("unheard"),
            redis_server,
            DATABASES={"default": database},
            CQ={"LEASE": 3},
            CELERY_RESULT_BACKEND="cq",
        )
        project.python("-m", "django", "migrate", "cq", "--verbosity=0")
        with (
            django_db_blocker.unblock(),
            declared(**{ALIAS: database}),
            project.client() as app,
            project.worker(*OPTIONS) as worker,
        ):
            yield Scene(Stage(app, queue=QUEUE), project, postgres, worker)


def test_what_is_said_waits_for_a_database_that_is_away(scene: Scene, tmp_path: Path) -> None:
    stage, gate = scene.stage, tmp_path / "gate"
    task_id = stage.send("say_without_database", str(gate), 2_000)
    scene.project.wait_recorded([task_id], "start", TIMEOUT)
    scene.postgres.kill()
    gate.touch()
    scene.project.wait_recorded([task_id], "end", TIMEOUT)
    scene.postgres.start()

    connections[ALIAS].close()
    wait_until(lambda: stage.row(task_id).state == states.SUCCESS, TIMEOUT)
    stage.wait_said(task_id, *(str(number) for number in range(1_000, 2_000)))
    wait_until(lambda: stage.row(task_id).progress.percent == 100, TIMEOUT)


def test_what_was_said_outlives_the_worker_and_the_layer(
    scene: Scene, tmp_path: Path, redis_server: RedisServer
) -> None:
    stage, gate = scene.stage, tmp_path / "gate"
    task_id = stage.send("tell_again", str(gate))
    stage.wait_said(task_id, "begun")
    scene.worker.kill()
    redis_server.flush()
    gate.touch()

    with scene.project.worker(*OPTIONS):
        wait_until(lambda: stage.row(task_id).state == states.SUCCESS, TIMEOUT)
    lines = stage.row(task_id).logs
    assert [(line.number, str(line)) for line in lines] == [(1, "begun"), (1, "begun"), (2, "done")]
    assert stage.row(task_id).progress.percent == 100
