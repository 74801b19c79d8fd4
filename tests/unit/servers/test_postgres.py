"""The PostgreSQL server of the tests."""

import psycopg
import pytest

from tests.servers.postgres import PostgresServer


def test_databases_are_apart(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    postgres_server.run("CREATE TABLE here (x int)", first)
    with pytest.raises(psycopg.errors.UndefinedTable):
        postgres_server.run("SELECT * FROM here", second)


def test_template_is_copied(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    postgres_server.run("CREATE TABLE here (x int)", template)
    postgres_server.run("SELECT * FROM here", postgres_server.create_database(template=template))


def test_committed_data_survive_a_crash_and_connections_are_cut() -> None:
    with PostgresServer() as server:
        server.run("CREATE TABLE here (x int)")
        with psycopg.connect(server.dsn()) as connection:
            server.cut_connections()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.kill()
        assert not server.running
        server.start()
        server.run("SELECT * FROM here")
