"""The PostgreSQL of the sides that keep something in it: an empty database for each run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.sides import STORED, Link
from tests.servers.daemon import ROOT
from tests.servers.postgres import PostgresServer

TEMPLATE = "benchmarks"  # the database that has the tables of every side


class Databases:
    """Copies of a database that was migrated once."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        server.create_database(TEMPLATE)
        self._migrate()

    def _migrate(self) -> None:
        # The tables of `cq_compat` are among those of any side; the other ones need their app.
        nowhere, nothing = Link("nowhere", "127.0.0.1:0"), Path(os.devnull)
        env = STORED.env(nowhere, nothing, self.server.django(TEMPLATE))
        command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        done = subprocess.run(
            command, env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the tables could not be made: {done.stdout}{done.stderr}")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Give the name of an empty database, with nothing left to be written of earlier ones."""
        name = self.server.create_database(template=TEMPLATE)
        try:
            self.server.run("CHECKPOINT")
            yield name
        finally:
            self.server.drop_database(name)

    def django(self, name: str) -> dict[str, Any]:
        """Return a database's entry of Django's DATABASES."""
        return self.server.django(name)

    def count(self, name: str, statement: str) -> int:
        """Return the number that a statement finds."""
        with psycopg.connect(self.server.dsn(name)) as connection:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return int(row[0])

    def describe(self) -> dict[str, Any]:
        """Return the server's version and how it writes."""
        with psycopg.connect(self.server.dsn()) as connection:
            return {
                "postgresql": connection.info.parameter_status("server_version"),
                "fsync": self.server.options["fsync"],
            }
