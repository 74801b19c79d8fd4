"""A migrated database with the audit's triggers, and a stage for each test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.audit import AUDIT
from tests.chaos.stage import Stage
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer


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
def stage(
    postgres_server: PostgresServer,
    faulty_redis: RedisServer,
    rows_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A stage whose database belongs to one file of tests."""
    database = postgres_server.create_database(template=rows_template)
    directory = tmp_path_factory.mktemp("rows")
    with Stage(directory, postgres_server, faulty_redis, database) as made:
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
