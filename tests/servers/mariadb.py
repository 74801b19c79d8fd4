"""A private MariaDB server on a unix socket and a free loopback port."""

import os
import pwd
import shutil
import subprocess
from typing import Any

import pymysql

from tests.servers.daemon import Daemon
from tests.servers.errors import ServerError
from tests.servers.lifetime import die_with_parent
from tests.servers.ports import free_port

UNPRIVILEGED = "nobody"  # MariaDB refuses to run as root
SUPERUSER = "root"
#: Where Debian has the server, which is not on everybody's PATH.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def find_mariadb(program: str) -> str:
    """Return the path of one of MariaDB's programs. Raises: ServerError when there is none."""
    found = shutil.which(program, path=PATH)
    if found is None:
        raise ServerError(
            f"{program} is not there; install MariaDB, on Debian with the packages "
            "mariadb-server-core and mariadb-client-core"
        )
    return found


class MariaDBServer(Daemon):
    """A private server, as `root` without a password; it keeps its port when restarted.

    Run by root, its processes belong to an unprivileged user.
    """

    name = "mariadb"
    start_timeout = 30.0  # seconds

    def __init__(self) -> None:
        self.server, self.installer = find_mariadb("mariadbd"), find_mariadb("mariadb-install-db")
        super().__init__()
        self.user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self.port = free_port()
        self._databases = 0

    def django(self, database: str) -> dict[str, Any]:
        """Return the entry of Django's DATABASES for a database."""
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": database,
            "USER": SUPERUSER,
            "PASSWORD": "",
            "HOST": "127.0.0.1",
            "PORT": self.port,
            # The character set that Django's own connections have from 5.2 on.
            "OPTIONS": {"charset": "utf8mb4", "ssl_disabled": True},
        }

    def command(self) -> list[str]:
        return [
            self.server,
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            f"--tmpdir={self.directory}",  # a server removes what another has in a shared one
            f"--socket={self.directory / 'socket'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=0",  # a crash of the machine may lose what was done
        ]

    def popen_options(self) -> dict[str, Any]:
        owner: dict[str, Any] = {"cwd": "/"}
        if self.user:
            owner |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return owner

    def launch(self) -> None:
        if not (self.directory / "data").exists():
            self._initialise()
        super().launch()

    def answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def create_database(self) -> str:
        """Create a database and return its name."""
        self._databases += 1
        name = f"test{self._databases}"
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def _connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            connect_timeout=2,
            read_timeout=self.start_timeout,  # whoever has the port may never say a word
            autocommit=True,
            ssl_disabled=True,
        )

    def _initialise(self) -> None:
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        done = subprocess.run(
            [
                self.installer,
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                f"--tmpdir={self.directory}",
                *(
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                ),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            preexec_fn=die_with_parent(),
            **self.popen_options(),
        )
        if done.returncode:
            raise ServerError(
                f"mariadb-install-db ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
