"""A worker whose tasks and results are rows in PostgreSQL, for the whole folder."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer

#: The alias of the rows in this process.
ALIAS = "tasks"
OPTIONS = ("--without-gossip", "--without-mingle", "-I", "tests.project.outcomes")


@pytest.fixture(scope="package")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    postgres_server: PostgresServer,
) -> Project:
    redis_server.flush()
    database = postgres_server.django(postgres_server.create_database())
    project = Project.on_redis(
        tmp_path_factory.mktemp("waiting"),
        redis_server,
        DATABASES={"default": database},
        CQ={},
        CELERY_RESULT_BACKEND="cq",
    )
    project.python("-m", "django", "migrate", "cq", "--verbosity=0")
    return project


@pytest.fixture(scope="package")
def app(project: Project, django_db_blocker: Any) -> Iterator[Celery]:
    database = project.settings["DATABASES"]["default"]
    with (
        django_db_blocker.unblock(),
        declared(**{ALIAS: database}),
        project.client() as app,
        project.worker("-c", "4", *OPTIONS),
    ):
        yield app
