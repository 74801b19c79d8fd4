"""One database after the other, with the tables in it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from cq_compat.database import OwnConnection, own_connection
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, PublishingMirror, WorkingMirror
from cq_compat.native.journal_writer import journal_writer
from cq_compat.observing import observer
from tests.servers.databases import declared, sqlite
from tests.servers.errors import ServerError
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer

ALIAS = "rows"
TABLES = (
    "cq_task",
    "cq_worker",
    "cq_layer",
    "cq_beat",
    "cq_group",
    "cq_chord",
    "cq_tasklog",
    "cq_coalescing",
)


@pytest.fixture(scope="package")
def mariadb_server() -> Iterator[MariaDBServer]:
    try:
        server = MariaDBServer().start()
    except ServerError as error:
        pytest.fail(f"a test server is missing: {error}", pytrace=False)
    with server:
        yield server


@pytest.fixture(scope="package", params=["postgresql", "sqlite", "mariadb"])
def make_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], dict[str, Any]]:
    """Make an empty database of the kind, as an entry of DATABASES."""
    if request.param == "sqlite":
        return lambda: sqlite(tmp_path_factory.mktemp("rows"))
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        return lambda: postgres.django(postgres.create_database())
    mariadb: MariaDBServer = request.getfixturevalue("mariadb_server")
    return lambda: mariadb.django(mariadb.create_database())


@pytest.fixture(scope="package")
def database(make_database: Callable[[], dict[str, Any]], django_db_blocker: Any) -> Iterator[str]:
    """The alias of a database with the tables, for the whole folder; see `empty`."""
    with django_db_blocker.unblock(), declared(**{ALIAS: make_database()}):
        call_command("migrate", "cq", database=ALIAS, verbosity=0)
        yield ALIAS


@pytest.fixture(autouse=True)
def empty(database: str) -> Iterator[None]:
    """Let nothing be left to the next case."""
    yield
    journal_writer.close()  # what they have and have not written would come late
    observer.close()
    with connections[database].cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")


@pytest.fixture
def connection(database: str) -> OwnConnection:
    return own_connection()


@pytest.fixture
def publishing(connection: OwnConnection) -> PublishingMirror:
    return PublishingMirror(connection)


@pytest.fixture
def working(connection: OwnConnection) -> WorkingMirror:
    return WorkingMirror(connection)


@pytest.fixture
def keeping(connection: OwnConnection) -> KeepingMirror:
    return KeepingMirror(connection)


@pytest.fixture
def make_lease(database: str) -> Iterator[Callable[[str], Lease]]:
    """Make the lease of a worker that is alive."""
    leases: list[Lease] = []

    def make(hostname: str = "w1@test") -> Lease:
        lease = Lease(hostname, "channels://default")
        lease.renew()
        leases.append(lease)
        return lease

    yield make
    for lease in leases:
        lease.connection.close()


@pytest.fixture
def lease(make_lease: Callable[[], Lease]) -> Lease:
    return make_lease()
