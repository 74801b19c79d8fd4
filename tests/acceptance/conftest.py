"""Fixtures that the cases of a module share: starting a worker takes longer than most of them."""

from collections.abc import Iterator

import pytest
from celery import Celery

from tests.servers.project import Project
from tests.servers.redis import RedisServer


@pytest.fixture(scope="module")
def shared(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
) -> Project:
    """A project over `channels://` on an empty server, with the module's own `SETTINGS`."""
    redis_server.flush()
    settings = getattr(request.module, "SETTINGS", {})
    return Project.on_redis(tmp_path_factory.mktemp("shared"), redis_server, **settings)


@pytest.fixture(scope="module")
def app(shared: Project) -> Iterator[Celery]:
    """A Celery app in this process that publishes to the shared project's workers."""
    with shared.client() as app:
        yield app
