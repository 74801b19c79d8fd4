"""Fixtures for all tests: real servers, started once, and an error when one cannot be had."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.servers.daemon import Daemon
from tests.servers.errors import ServerError
from tests.servers.forked import SWITCH
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.spread import Spread, begins

DaemonT = TypeVar("DaemonT", bound=Daemon)

#: Last lines of a report that are shown.
RERUN_LINES = 150


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder, so that `-m acceptance` picks them."""
    here = Path(__file__).parent
    for item in items:
        item.add_marker(item.path.relative_to(here).parts[0])
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: begins(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a case was tried again; `-rR` says only that it was."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"tried again: {report.nodeid}")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-RERUN_LINES:]))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which may be absent or switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread:
    """Give each process tests that share their fixtures."""
    return Spread(config, log)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server for the whole run; its data are everybody's, see `clean_redis`."""
    yield from _serve(RedisServer)


@pytest.fixture
def clean_redis(redis_server: RedisServer) -> RedisServer:
    """The same server with nothing in it."""
    redis_server.flush()
    return redis_server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for one test, which may kill, freeze or fill it."""
    yield from _serve(RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run; take a database of your own."""
    yield from _serve(PostgresServer)


@pytest.fixture(scope="session")
def _layer_template(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> str:
    name = postgres_server.create_database("layer_template")
    Project(
        tmp_path_factory.mktemp("migrate"),
        INSTALLED_APPS=["channels_postgres"],
        DATABASES={"default": postgres_server.django(name)},
    ).python("-m", "django", "migrate", "--verbosity=0")
    return name


@pytest.fixture(scope="session")
def make_layer_database(
    postgres_server: PostgresServer, _layer_template: str
) -> Callable[[], dict[str, Any]]:
    """Make an empty database for a `channels_postgres` layer, as an entry of DATABASES."""

    def make() -> dict[str, Any]:
        return postgres_server.django(postgres_server.create_database(template=_layer_template))

    return make


@pytest.fixture
def layers(settings: Any, clean_redis: RedisServer) -> dict[str, dict[str, Any]]:
    """Give this process the channel layers `default`, empty and on Redis, and `memory`."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [clean_redis.url], "capacity": 1_000_000, "expiry": 86_400},
        },
        "memory": {"BACKEND": "channels.layers.InMemoryChannelLayer"},
    }
    layers: dict[str, dict[str, Any]] = settings.CHANNEL_LAYERS
    return layers


@pytest.fixture
def project(tmp_path: Path, layers: dict[str, dict[str, Any]], clean_redis: RedisServer) -> Project:
    """The test project over `channels://`, with the layers of this process and Redis results."""
    return Project(
        tmp_path,
        CHANNEL_LAYERS=layers,
        CELERY_BROKER_URL="channels://",
        CELERY_RESULT_BACKEND=clean_redis.url,
    )


@pytest.fixture(scope="module")
def started_anew() -> Iterator[None]:
    """Start each process of a project as its users do, and fork none from `forkserver`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        yield


def _serve(make: Callable[[], DaemonT]) -> Iterator[DaemonT]:
    try:
        server = make().start()
    except ServerError as error:
        pytest.fail(f"a test server is missing: {error}", pytrace=False)
    with server:
        yield server
