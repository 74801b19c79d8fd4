"""What operators do reaches the workers: bodies end, and tasks run again."""

from pathlib import Path

import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer

#: Runs in a process of the project, which has its database.
SCRIPT = """
import sys
import django
django.setup()
from cq_compat.models import Task
from tests.project.tasks import hold, retry
from tests.servers.waiting import wait_until

def wait(task_id, state):
    wait_until(lambda: Task.objects.get(pk=task_id).state == state, 30,
               lambda: f"{task_id} to be {state}, is {Task.objects.get(pk=task_id).state}")
"""
TERMINATE = """
held = hold.delay(sys.argv[1])
wait(held.id, "STARTED")
Task.objects.get(pk=held.id).revoke(terminate=True)
print(held.id)
"""
AGAIN = """
task = Task.objects.get(pk=sys.argv[1])
task.retry()
wait(task.pk, "STARTED")
open(sys.argv[2], "w").close()
wait(task.pk, "SUCCESS")
print(Task.objects.get(pk=task.pk).run)
"""
RETRY = """
tried = retry.delay(1)
wait(tried.id, "SUCCESS")
Task.objects.filter(pk=tried.id).retry()
wait_until(lambda: Task.objects.get(pk=tried.id).run == 3, 30, "the second run to retry, too")
wait(tried.id, "SUCCESS")
print(tried.id)
"""
DOWN = """
waiting = hold.delay("never")
Task.objects.get(pk=waiting.id).revoke(terminate=True)
print(Task.objects.get(pk=waiting.id).state)
"""


@pytest.fixture
def rows(tmp_path: Path, own_redis: RedisServer, postgres_server: PostgresServer) -> Project:
    """The project with its tasks in a database of its own."""
    database = postgres_server.django(postgres_server.create_database())
    project = Project.on_redis(
        tmp_path, own_redis, DATABASES={"default": database}, CELERY_RESULT_BACKEND="cq"
    )
    project.python("-m", "django", "migrate", "cq", "--verbosity=0")
    return project


def run(project: Project, script: str, *arguments: str) -> str:
    """Return what a script prints."""
    return project.python("-c", SCRIPT + script, *arguments).stdout.strip()


def test_operators_and_workers(rows: Project, tmp_path: Path, own_redis: RedisServer) -> None:
    gate = tmp_path / "gate"
    with rows.worker("-c", "1") as worker:
        terminated = run(rows, TERMINATE, str(gate))
        worker.wait_log(rf"\[{terminated}\] is terminated")
        assert rows.records()[terminated] == ["start"]
        # Another child takes the place of the one that was, and the worker does not refuse the id.
        assert run(rows, AGAIN, terminated, str(gate)) == "1"
        assert rows.records()[terminated] == ["start", "start"]

        tried = run(rows, RETRY)
        assert rows.records()[tried] == ["attempt-0", "attempt-1"] * 2

        own_redis.kill()
        assert run(rows, DOWN) == "REVOKED"
