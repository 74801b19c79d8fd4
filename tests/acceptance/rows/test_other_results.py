"""Rows of tasks whose results are kept elsewhere: what the worker's main process decides reaches
them too.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cq_compat import states
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

NAMES = "tests.project.tasks."
READ = """
import django; django.setup()
from cq_compat.models import Task
for task in Task.objects.finished(): print(task.id, task.state)
"""
PUBLISH = """
import django; django.setup()
from celery import current_app
print(current_app.send_task({name!r}, {args!r}, **{options!r}).id)
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    postgres_server: PostgresServer,
) -> Iterator[Project]:
    project = Project.on_redis(
        tmp_path_factory.mktemp("elsewhere"),
        redis_server,
        config={"prefix": "elsewhere"},  # beside the worker of this folder
        DATABASES={"default": postgres_server.django(postgres_server.create_database())},
        CQ={},
        CELERY_RESULT_BACKEND=redis_server.url,
    )
    project.python("-m", "django", "migrate", "cq", "--verbosity=0")
    with project.worker("-c", "2"):
        yield project


@pytest.fixture(scope="module")
def publish(project: Project) -> Callable[..., str]:
    def publish(name: str, *args: Any, **options: Any) -> str:
        script = PUBLISH.format(name=NAMES + name, args=args, options=options)
        return project.python("-c", script).stdout.strip()

    return publish


def test_ends_of_every_kind(project: Project, publish: Callable[..., str]) -> None:
    expected = {
        publish("add", 1, 1): states.SUCCESS,
        publish("fail"): states.FAILURE,
        publish("crash"): states.FAILURE,
        publish("sleep", 60, time_limit=1): states.FAILURE,
        publish("add", 1, 1, countdown=1, expires=0.001): states.REVOKED,
    }
    terminated = publish("sleep", 60)
    expected[terminated] = states.REVOKED
    wait_until(
        lambda: terminated in project.celery("inspect", "active").stdout, 30, "the body's start"
    )
    project.celery("control", "terminate", "KILL", terminated)

    def ended() -> dict[str, str]:
        return dict(line.split() for line in project.python("-c", READ).stdout.splitlines())

    wait_until(
        lambda: expected.items() <= ended().items(), 90, lambda: f"{expected}, saw {ended()}"
    )
