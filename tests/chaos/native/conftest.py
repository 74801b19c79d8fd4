"""The tests of django-cq's own tasks, while workers are killed and Redis is flushed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.native import (
    stage,
    test_families,
    test_logs_and_progress,
    test_options,
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
from tests.chaos.native.disturbance import SETTINGS, Disturbance
from tests.chaos.native.left_out import LEFT_OUT, SPARED
from tests.extent import FULL
from tests.servers.project import Project
from tests.servers.redis import RedisServer

HERE = Path(__file__).parent
#: Where the cases are that run here once more, on the project's two databases.
MODULES = stage, test_families, test_logs_and_progress, test_options, test_readme, test_tasks
#: Seconds for what may be hit more than once.
TIMEOUT = 90


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot hold here, and what is not worth its time unless all is tried.

    A case that is there twice runs here, but for one on SQLite, which runs calmly.
    """
    here = {item for item in items if item.path.is_relative_to(HERE)}
    left = {item for item in here if _function(item) in LEFT_OUT}
    if not FULL:
        calm = {_case(item): item for item in items if item not in here}
        left |= {item for item in here if "[sqlite" in item.name and _case(item) in calm}
        left |= {
            calm[_case(item)]
            for item in here - left
            if "[sqlite" not in item.name and _case(item) in calm
        }
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


def _function(item: pytest.Item) -> Any:
    return getattr(item, "function", None)


def _case(item: pytest.Item) -> tuple[Any, str]:
    return _function(item), item.name


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

    with (
        pytest.MonkeyPatch.context() as patch,
        Disturbance(project, redis_server, ALIAS, *OPTIONS) as made,
    ):
        for module in MODULES:
            patch.setattr(module, "TIMEOUT", TIMEOUT)
        yield made
    assert made.kills and made.flushes, made


@pytest.fixture(scope="package")
def app(client: Celery, disturbance: Disturbance) -> Celery:  # noqa: F811
    return client


@pytest.fixture(autouse=True)
def kills(request: pytest.FixtureRequest, disturbance: Disturbance) -> Callable[[], int]:
    """Have a worker killed in some of the cases; count that."""
    disturbance.next_case()
    if _function(request.node) in SPARED:
        disturbance.spare()
    before = disturbance.kills
    return lambda: disturbance.kills - before
