"""Two Redis servers and a sentinel that watches them."""

import signal
from types import TracebackType
from typing import Any

import redis

from tests.servers.daemon import Daemon
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, find_redis
from tests.servers.waiting import wait_until


class SentinelProcess(Daemon):
    """The sentinel alone; it calls a master lost after `down_after` seconds without an answer."""

    name = "sentinel"

    def __init__(self, master: RedisServer, service: str, down_after: float) -> None:
        program = find_redis()
        super().__init__()
        self.program = program
        self.port = free_port()
        milliseconds = int(down_after * 1000)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.directory}",
            f"sentinel monitor {service} 127.0.0.1 {master.port} 1",
            f"sentinel down-after-milliseconds {service} {milliseconds}",
            f"sentinel failover-timeout {service} {max(milliseconds * 5, 5000)}",
        ]
        if master.password:
            lines.append(f"sentinel auth-pass {service} {master.password}")
        self.configuration = self.directory / "sentinel.conf"  # the sentinel rewrites it
        self.configuration.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [self.program, str(self.configuration), "--sentinel"]

    def answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def client(self) -> redis.Redis:
        """Return a client of the sentinel itself."""
        return redis.Redis(port=self.port, socket_timeout=5.0)


class Sentinel:
    """A master, a replica and a sentinel; clients ask the sentinel for `service`."""

    def __init__(
        self, *, password: str | None = None, service: str = "primary", down_after: float = 0.5
    ) -> None:
        login = ("--masterauth", password) if password else ()
        self.service = service
        self.servers = [
            RedisServer(password=password, extra=("--repl-diskless-sync-delay", "0", *login))
            for _ in range(2)
        ]
        self.process = SentinelProcess(self.servers[0], service, down_after)

    @property
    def hosts(self) -> list[list[Any]]:
        """The sentinels as channels_redis takes them: `{"sentinels": hosts, ...}`."""
        return [["127.0.0.1", self.process.port]]

    @property
    def layer_host(self) -> dict[str, Any]:
        """The entry of channels_redis' `hosts` for this service."""
        host: dict[str, Any] = {"sentinels": self.hosts, "master_name": self.service}
        if self.servers[0].password:
            host["password"] = self.servers[0].password
        return host

    @property
    def master(self) -> RedisServer:
        """The server that is the master now, as the sentinel has it."""
        with self.process.client() as client:
            answer = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
        return next(server for server in self.servers if server.port == int(answer[1]))

    def start(self) -> "Sentinel":
        """Start all three and return when the sentinel knows the replica and it is in step."""
        first, second = self.servers
        for server in self.servers:
            server.start()
        second.run("REPLICAOF", "127.0.0.1", first.port)
        self.process.start()
        wait_until(lambda: second.info("replication")["master_link_status"] == "up", 15, "the copy")
        wait_until(self._knows_replica, 30, "the sentinel to find the replica")
        return self

    def _knows_replica(self) -> bool:
        with self.process.client() as client:
            return bool(client.execute_command("SENTINEL", "REPLICAS", self.service))

    def failover(self, timeout: float = 30.0) -> None:
        """Kill the master and return when the replica has its place."""
        lost = self.master
        lost.kill()
        wait_until(lambda: self._led_by_another(lost), timeout, "the failover")

    def _led_by_another(self, lost: RedisServer) -> bool:
        master = self.master
        return master is not lost and master.info("replication")["role"] == "master"

    def close(self) -> None:
        """Stop all three."""
        self.process.stop_signal = signal.SIGKILL  # it has nothing to save
        for daemon in (self.process, *self.servers):
            daemon.close()

    def __enter__(self) -> "Sentinel":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
