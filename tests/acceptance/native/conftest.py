"""A worker with django-cq's own tasks on each database, for the whole folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app

from tests.acceptance.effects import count, make_constraint, make_table
from tests.project.options import LOGGER, ROUTES
from tests.servers.databases import SQLITE, declared, sqlite
from tests.servers.project import Project
from tests.servers.redis import RedisServer

#: The alias of the rows in this process.
ALIAS = "tasks"
#: The modules of the worker's tasks.
MODULES = tuple(
    f"tests.project.{name}" for name in ("native", "telling", "families", "readme", "options")
)
OPTIONS = ("--without-gossip", "--without-mingle", "-I", ",".join(MODULES), "-Q", "celery,mail")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"task": {"class": "cq_compat.TaskLogHandler"}},
    "loggers": {LOGGER: {"handlers": ["task"]}},
}

#: For what cannot be on SQLite, where a body has the only transaction that may write.
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True, scope="package")


@pytest.fixture(scope="package", params=["postgresql", SQLITE])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """An empty database, as an entry of DATABASES."""
    if request.param == "sqlite":
        return sqlite(tmp_path_factory.mktemp("native"))
    server = request.getfixturevalue("postgres_server")
    found: dict[str, Any] = server.django(server.create_database())
    return found


@pytest.fixture(scope="package")
def project(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, database: dict[str, Any]
) -> Project:
    redis_server.flush()
    return make_project(tmp_path_factory.mktemp("native"), redis_server, database)


def make_project(
    directory: Path, redis: RedisServer, database: dict[str, Any], **settings: Any
) -> Project:
    """Return a project whose tasks are rows in a database, which gets their tables."""
    defaults: dict[str, Any] = {
        "DATABASES": {"default": database},
        "CQ": {},
        "CELERY_RESULT_BACKEND": "cq",
        "CELERY_TASK_ROUTES": ROUTES,
        "LOGGING": LOGGING,
    }
    project = Project.on_redis(directory, redis, **{**defaults, **settings})
    project.python("-m", "django", "migrate", "cq", "--verbosity=0")
    return project


@contextmanager
def publishing(project: Project, alias: str) -> Iterator[Celery]:
    """Let a project's app be the current one, with the project's rows under an alias."""
    database = project.settings["DATABASES"]["default"]
    current = current_app._get_current_object()
    with declared(**{alias: database}), project.client() as app:
        app.set_current()
        app.set_default()  # of other threads
        yield app
    current.set_current()
    current.set_default()


@pytest.fixture(scope="package")
def client(project: Project, django_db_blocker: Any) -> Iterator[Celery]:
    """Publish to the project from this process."""
    with django_db_blocker.unblock(), publishing(project, ALIAS) as app:
        make_table(ALIAS)
        make_constraint(ALIAS)
        yield app


@pytest.fixture(scope="package")
def app(client: Celery, project: Project) -> Iterator[Celery]:
    """The same, with a worker."""
    with project.worker("-c", "2", *OPTIONS):
        yield client


@pytest.fixture
def kills() -> Callable[[], int]:
    """Count the workers that were killed in the case: none here."""
    return lambda: 0


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file for which bodies wait; it is there after the test at the latest."""
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


@pytest.fixture
def effects(client: Celery) -> Callable[[str], int]:
    """Count what the body of a task has written."""
    return partial(count, ALIAS)
