"""The worker processes of the tests, over Celery's own Redis transport."""

from pathlib import Path

import pytest

from tests.servers.errors import ServerError
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker


@pytest.fixture
def stock(tmp_path: Path, clean_redis: RedisServer) -> Project:
    return Project(
        tmp_path,
        CELERY_BROKER_URL=clean_redis.url,
        CELERY_RESULT_BACKEND=clean_redis.url,
        INSTALLED_APPS=[],
    )


def test_runs_tasks_and_leaves_nothing_running(stock: Project) -> None:
    with stock.worker("-c", "2") as worker:
        app = stock.app()
        assert app.send_task("tests.project.tasks.add", (1, 2)).get(timeout=20) == 3
        task = app.send_task("tests.project.tasks.work")
        assert stock.wait_records(1, "end") == {task.id: ["start", "end"]}
        assert len(worker.children()) >= 2
        assert worker.terminate() == 0
        assert worker.members() == []
        app.close()


def test_no_child_outlives_a_killed_main(stock: Project) -> None:
    with stock.worker("-c", "2") as worker:
        assert len(worker.children()) >= 2
        worker.kill_main()
    assert worker.members() == []


def test_bad_option_fails_with_the_log() -> None:
    with pytest.raises(ServerError, match="no-such-option"), CeleryWorker("--no-such-option"):
        pass
