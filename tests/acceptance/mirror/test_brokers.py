"""From Celery's own Redis broker to `channels://` and back, with one row for each task."""

from collections.abc import Iterator

import pytest

from tests.acceptance.mirror.stage import DEADLINE, Stage, staged
from tests.acceptance.tasks import send
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer

NEW = "channels://default"
APP = "tests.project.hops"


@pytest.fixture(scope="module", params=["cq", "redis"])
def stage(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
) -> Iterator[Stage]:
    """Two workers of one project, each with its broker."""
    redis_server.flush()
    results = "cq" if request.param == "cq" else redis_server.url
    directory = tmp_path_factory.mktemp("brokers")
    with staged(directory, postgres_server, redis_server, CELERY_RESULT_BACKEND=results) as stage:
        moved = Project(directory, **{**stage.project.settings, "CELERY_BROKER_URL": NEW})
        with stage.project.worker("-c", "1", app=APP), moved.worker("-c", "1", app=APP):
            yield stage


@pytest.mark.parametrize("first", ["old", "new"])
def test_a_task_that_goes_from_broker_to_broker(stage: Stage, first: str) -> None:
    old = stage.project.settings["CELERY_BROKER_URL"]
    brokers = {"old": (old, NEW, old, NEW), "new": (NEW, old, NEW, old)}[first]
    with stage.app.connection_for_write(brokers[0]) as connection:
        results = [
            stage.app.send_task(f"{APP}.hop", brokers[1:], connection=connection) for _ in range(20)
        ]

    assert [result.get(timeout=DEADLINE) for result in results] == [4] * 20
    ids = [result.id for result in results]
    stage.wait_all(ids, "SUCCESS")
    for task_id in ids:
        row = stage.wait(task_id, "SUCCESS")
        assert row.owner_id is None and row.finished_at is not None


def test_a_queue_that_moves_and_comes_back(stage: Stage) -> None:
    old = stage.project.settings["CELERY_BROKER_URL"]
    ids: list[str] = []
    for broker in (old, NEW, old):
        with stage.app.connection_for_write(broker) as connection:
            ids += [send(stage.app, "add", 1, 2, connection=connection).id for _ in range(20)]

    stage.wait_all(ids, "SUCCESS")
    kept = [bool(stage.wait(task_id, "SUCCESS").message) for task_id in ids]
    assert kept == [False] * 20 + [True] * 20 + [False] * 20
