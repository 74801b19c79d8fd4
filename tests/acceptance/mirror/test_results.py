"""The result backend `cq` beside Celery's own Redis broker: one row has all of a task."""

from pathlib import Path

import pytest
from celery import chord

from tests.acceptance.mirror.stage import DEADLINE, Stage, staged
from tests.acceptance.tasks import send, task
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until


def test_results_in_the_same_rows(
    tmp_path: Path, postgres_server: PostgresServer, clean_redis: RedisServer
) -> None:
    with (
        staged(tmp_path, postgres_server, clean_redis, CELERY_RESULT_BACKEND="cq") as stage,
        stage.project.worker("-c", "2"),
    ):
        app = stage.app
        added = send(app, "add", 2, 3)
        failed = send(app, "fail", "on purpose")
        header = [task(app, "add", number, 1) for number in range(10)]
        body = chord(header, app=app)(task(app, "total"))

        assert added.get(timeout=DEADLINE) == 5
        with pytest.raises(ValueError, match="on purpose"):
            failed.get(timeout=DEADLINE)
        assert body.get(timeout=DEADLINE) == 55
        ids = [added.id, body.id, *(part.id for part in body.parent.children)]
        for task_id in ids:
            row = wait_until(lambda: complete(stage, task_id), DEADLINE)  # noqa: B023
            assert (row.state, row.queue) == ("SUCCESS", "celery")
            assert not row.message


def complete(stage: Stage, task_id: str) -> object:
    """Return a row that has what the result backend did not know."""
    row = stage.row(task_id)
    return row if row is not None and row.name and row.worker and row.started_at else None
