"""The package's own connection while the database is away."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.db import connections, transaction

from cq_compat.database import LOST, CallersConnection, OwnConnection
from cq_compat.persistence import persist
from tests.servers.databases import read_only
from tests.servers.ports import free_port


@pytest.fixture
def come_back(database: str, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Let connections that are made from now on lead to nobody, until this is called."""
    settings = connections.settings[database]
    before = {key: settings.get(key) for key in ("NAME", "PORT")}
    if connections[database].vendor == "sqlite":
        settings["NAME"] = str(tmp_path / "missing" / "file")
    else:
        settings["PORT"] = free_port()
    yield partial(settings.update, before)
    settings.update(before)


@pytest.fixture
def connection(come_back: Callable[[], None]) -> Iterator[OwnConnection]:
    """A connection of our own, to be made when it is needed."""
    connection = OwnConnection()
    yield connection
    connection.close()


@pytest.mark.parametrize("once", [False, True])
def test_a_database_that_is_away_is_lost(connection: OwnConnection, once: bool) -> None:
    for _ in range(2):
        with pytest.raises(LOST):
            connection.execute("UPDATE cq_task SET run = 0", [], once=once)
        with pytest.raises(LOST):
            connection.fetch("SELECT 1 FROM cq_task", [], once=once)


def test_a_transaction_needs_the_database(connection: OwnConnection) -> None:
    with pytest.raises(LOST), connection.transaction():
        pytest.fail("it has begun")


def test_what_must_not_be_lost_waits_for_the_database(
    connection: OwnConnection, come_back: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            come_back()

    monkeypatch.setattr("cq_compat.persistence.own_connection", lambda: connection)
    monkeypatch.setattr("cq_compat.persistence.sleep", sleep)
    assert persist(lambda: connection.fetch("SELECT count(*) FROM cq_task", [])) == [(0,)]
    assert len(pauses) == 3


WRITE = "UPDATE cq_task SET run = 0"


@pytest.fixture
def reading(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnConnection]:
    """A connection of our own that was kept over a failover."""
    connection = OwnConnection()
    monkeypatch.setattr("cq_compat.persistence.own_connection", lambda: connection)
    monkeypatch.setattr("cq_compat.persistence.sleep", lambda seconds: None)
    read_only(connection._ready())
    yield connection
    connection.close()


def test_a_server_that_only_reads_is_left(reading: OwnConnection) -> None:
    with pytest.raises(LOST):
        reading.execute(WRITE, [])
    assert persist(lambda: reading.execute(WRITE, [])) == 0


def test_a_server_that_only_reads_is_left_by_transactions(reading: OwnConnection) -> None:
    def write() -> int:
        with reading.transaction():
            return reading.execute(WRITE, []) + reading.execute(WRITE, [])

    with pytest.raises(LOST):
        write()
    with pytest.raises(LOST):
        reading.execute_many("UPDATE cq_task SET run = %s", [[1], [2]])
    assert persist(write) == 0


def test_a_publisher_leaves_a_server_that_only_reads(database: str) -> None:
    def publish() -> None:
        CallersConnection().execute(WRITE, [])

    read_only(connections[database])
    if connections[database].vendor == "postgresql":  # others say it as they say other things
        publish()
        read_only(connections[database])
    with pytest.raises(LOST), transaction.atomic(using=database):
        publish()
    connections[database].close()
