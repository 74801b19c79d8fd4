"""The tests of django-cq's own tasks, while workers are killed and Redis is flushed."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.native import (
    stage,
    test_families,
    test_logs_and_progress,
    test_readme,
    test_tasks,
)
from tests.acceptance.native.conftest import (  # noqa: F401
    ALIAS,
    OPTIONS,
    client,
    database,
    effects,
    gate,
    make_project,
)
from tests.chaos.native.disturbance import Disturbance
from tests.chaos.native.left_out import LEFT_OUT
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker

#: Bodies that a kill hits run again, however often that is.
SETTINGS: dict[str, Any] = {
    "CQ": {"LEASE": 3, "MAX_DEATHS": 1000},
    "CELERY_TASK_ACKS_LATE": True,
    "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
}
#: Seconds for what may be hit more than once.
TIMEOUT = 90
#: One case in so many has a worker killed; with 1, each has, in some minutes.
EACH = int(os.environ.get("CQ_TEST_KILL_EACH", 9))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot hold here."""
    here = Path(__file__).parent
    left = [
        item
        for item in items
        if item.path.is_relative_to(here) and getattr(item, "function", None) in LEFT_OUT
    ]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="package")
def redis_server() -> Iterator[RedisServer]:
    """A server that is flushed all the time."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="package")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    database: dict[str, Any],  # noqa: F811
) -> Project:
    return make_project(tmp_path_factory.mktemp("native"), redis_server, database, **SETTINGS)


@pytest.fixture(scope="package")
def disturbance(
    client: Celery,  # noqa: F811
    project: Project,
    redis_server: RedisServer,
) -> Iterator[Disturbance]:
    """Workers that do not live long."""

    def make() -> CeleryWorker:
        return project.worker("-c", "2", *OPTIONS)

    with pytest.MonkeyPatch.context() as patch, Disturbance(make, redis_server, ALIAS) as made:
        for module in (stage, test_families, test_logs_and_progress, test_readme, test_tasks):
            patch.setattr(module, "TIMEOUT", TIMEOUT)
        yield made
    assert made.kills and made.flushes, made


@pytest.fixture(scope="package")
def app(client: Celery, disturbance: Disturbance) -> Celery:  # noqa: F811
    return client


@pytest.fixture(scope="package")
def turns(database: dict[str, Any]) -> Iterator[int]:  # noqa: F811
    """The numbers of the cases on a database."""
    return count()


@pytest.fixture(autouse=True)
def _strike(disturbance: Disturbance, turns: Iterator[int]) -> None:
    """Have a worker killed in some of the cases."""
    if next(turns) % EACH == 0:
        disturbance.strike()
