"""Workers that compete for one queue: every task runs exactly once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.tasks import send
from tests.extent import extent
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

#: Tasks, by the number of worker processes.
COUNTS = extent({2: 2_000, 4: 4_000}, dict.fromkeys((1, 2, 4, 8), 20_000))


@pytest.mark.parametrize("processes", COUNTS)
def test_every_task_runs_once(tmp_path: Path, redis_server: RedisServer, processes: int) -> None:
    redis_server.flush()
    project = Project.on_redis(tmp_path, redis_server, CELERY_TASK_IGNORE_RESULT=True)
    count = COUNTS[processes]
    with ExitStack() as stack, project.client() as app:
        workers = [project.worker("--pool=solo", "-l", "WARNING") for _ in range(processes)]
        for worker in workers:
            stack.callback(worker.close)
            worker.launch()
        ids = [send(app, "where", ignore_result=True).id for _ in range(count)]
        wait_until(
            lambda: project.recorded() >= count, 120, lambda: f"{project.recorded()} of {count}"
        )
        with ThreadPoolExecutor(processes) as together:
            assert list(together.map(lambda worker: worker.terminate(), workers)) == [0] * processes

    runs = Counter({task_id: len(events) for task_id, events in project.records().items()})
    assert runs == dict.fromkeys(ids, 1)
