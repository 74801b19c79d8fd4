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

def state_of(task_id):
    return Task.objects.filter(pk=task_id).values_list("state", flat=True).first()

def wait(task_id, state):
    wait_until(lambda: state_of(task_id) == state, 30,
               lambda: f"{task_id} to be {state}, is {state_of(task_id)}")
"""
#: With arguments GATE: a body that is terminated, and its task run again until the gate is there.
TERMINATE = """
held = hold.delay(sys.argv[1])
wait(held.id, "STARTED")
task = Task.objects.get(pk=held.id)
task.revoke(terminate=True)
task.retry()
# The one child of the pool was ended, and the worker does not refuse the id.
wait_until(lambda: (task.refresh_from_db(), task.started_at)[1], 30, "the body to start again")
open(sys.argv[1], "w").close()
wait(held.id, "SUCCESS")
"""
RETRY = """
tried = retry.delay(1)
wait(tried.id, "SUCCESS")
Task.objects.filter(pk=tried.id).retry()
wait_until(lambda: Task.objects.get(pk=tried.id).run == 3, 30, "the second run to retry, too")
wait(tried.id, "SUCCESS")
print(held.id, tried.id)
"""
DOWN = """
waiting = hold.delay("never")
Task.objects.get(pk=waiting.id).revoke(terminate=True)
print(Task.objects.get(pk=waiting.id).state)
"""
OBSERVED = """
from cq_compat.errors import MessageMissing
held, waiting = hold.delay("never"), hold.delay("never")
wait(held.id, "STARTED")
wait(waiting.id, "RECEIVED")
Task.objects.get(pk=waiting.id).revoke()
Task.objects.get(pk=held.id).revoke(terminate=True)
try:
    Task.objects.get(pk=held.id).retry()
except MessageMissing:
    print(held.id, waiting.id)
"""


@pytest.fixture
def rows(tmp_path: Path, own_redis: RedisServer, postgres_server: PostgresServer) -> Project:
    """The project with its tasks in a database of its own."""
    database = postgres_server.django(postgres_server.create_database())
    project = Project.on_redis(
        tmp_path, own_redis, DATABASES={"default": database}, CELERY_RESULT_BACKEND="cq", CQ={}
    )
    project.python("-m", "django", "migrate", "cq", "--verbosity=0")
    return project


def run(project: Project, script: str, *arguments: str) -> str:
    """Return what a script prints."""
    return project.python("-c", SCRIPT + script, *arguments).stdout.strip()


def test_operators_and_workers(rows: Project, tmp_path: Path) -> None:
    with rows.worker("-c", "1") as worker:
        held, tried = run(rows, TERMINATE + RETRY, str(tmp_path / "gate")).split()
        worker.wait_log(rf"\[{held}\] is terminated")

    assert rows.records()[held] == ["start", "start"]
    assert rows.records()[tried] == ["attempt-0", "attempt-1"] * 2


def test_a_layer_that_is_away_is_not_waited_for(rows: Project, own_redis: RedisServer) -> None:
    own_redis.kill()
    assert run(rows, DOWN) == "REVOKED"


def test_tasks_of_another_broker(rows: Project, own_redis: RedisServer) -> None:
    rows.settings |= {"CELERY_BROKER_URL": own_redis.url, "CELERY_RESULT_BACKEND": own_redis.url}
    with rows.worker("-c", "1") as worker:
        held, waiting = run(rows, OBSERVED).split()
        worker.wait_log(rf"Terminating {held}")
        worker.wait_log(rf"Discarding revoked task: .*{waiting}")
    assert waiting not in rows.records()
