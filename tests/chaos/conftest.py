"""Servers that may be harmed, workers on them for each pool, and stages for tasks with rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cq_transport
from tests.chaos.audit import AUDIT
from tests.chaos.load import Load
from tests.chaos.stage import Stage
from tests.extent import extent
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

PREFORK = {"prefork": ("-P", "prefork", "-c", "2")}
#: The main process alone has to do with the layer; it is the same in both but for acknowledgements.
POOLS = extent(PREFORK, {**PREFORK, "threads": ("-P", "threads", "-c", "2")})


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that keeps its data when it is killed."""
    with RedisServer(appendonly=True) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """The way to the server; it can fall silent."""
    with Proxy(server.socket) as proxy:
        yield proxy


@pytest.fixture(scope="module", params=POOLS)
def load(
    request: pytest.FixtureRequest,
    server: RedisServer,
    proxy: Proxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Load]:
    """A worker of each pool behind the proxy, for the cases of one module."""
    directory = tmp_path_factory.mktemp("load")
    layers: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [proxy.redis_url], "capacity": 100_000, "expiry": 86_400},
        }
    }
    project = Project(
        directory,
        CHANNEL_LAYERS=layers,
        CELERY_BROKER_URL="channels://",
        CELERY_TASK_IGNORE_RESULT=True,
    )
    cq_transport.register()
    with pytest.MonkeyPatch.context() as patch:
        from channels.layers import channel_layers
        from django.conf import settings

        patch.setattr(settings, "CHANNEL_LAYERS", layers, raising=False)
        channel_layers.backends.clear()
        with project.app() as app:
            load = Load(directory, app, project, server, *POOLS[request.param])
            with load.worker:
                load.prove_consumption()
                yield load
        channel_layers.backends.clear()


@pytest.fixture(scope="session")
def rows_template(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database, to make copies of."""
    name = postgres_server.create_database("rows_template")
    migrate(postgres_server, name, tmp_path_factory)
    return name


@pytest.fixture(scope="module")
def faulty_redis() -> Iterator[RedisServer]:
    """A server for one file of tests, which may kill, freeze or fill it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def stage_settings() -> dict[str, Any]:
    """Settings of the stage's project besides; for a file of tests to override."""
    return {}


@pytest.fixture(scope="module")
def stage(
    postgres_server: PostgresServer,
    faulty_redis: RedisServer,
    rows_template: str,
    stage_settings: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A stage whose database belongs to one file of tests."""
    database = postgres_server.create_database(template=rows_template)
    directory = tmp_path_factory.mktemp("rows")
    with Stage(directory, postgres_server, faulty_redis, database, **stage_settings) as made:
        yield made


def migrate(
    postgres: PostgresServer, database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Make the tables and the audit."""
    project = Project(
        tmp_path_factory.mktemp("migrate"),
        INSTALLED_APPS=["cq_compat"],
        DATABASES={"default": postgres.django(database)},
    )
    project.python("-m", "django", "migrate", "--verbosity=0")
    postgres.run(AUDIT, database)
