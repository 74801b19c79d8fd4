"""A Redis host that lives in this process: a connection for `Pipe` and `HostReader` without a
server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError


class FakeHost:
    """Answers the commands that its connections send, by `execute`, and fails on demand.

    `refuses` lets no connection be made; `silent` executes and answers nothing; `deaf` neither
    executes nor answers.
    """

    def __init__(self, execute: Callable[[tuple[Any, ...]], Any]) -> None:
        self.execute = execute
        self.refuses = self.silent = self.deaf = False
        self.connections: list[FakeConnection] = []
        self.commands: list[tuple[Any, ...]] = []

    def connection(self) -> FakeConnection:
        """Make a connection, as a redis-py pool does."""
        return FakeConnection(self)

    def receive(self, connection: FakeConnection, command: tuple[Any, ...]) -> None:
        """Take a command."""
        if self.deaf:
            return
        self.commands.append(command)
        answer = self.execute(command)
        if not self.silent:
            connection.answers.append(answer)

    def cut(self) -> None:
        """Close every connection; answers that were not read are lost."""
        for connection in self.connections:
            connection.cut()
        self.connections.clear()

    def scripts(self) -> list[tuple[Any, ...]]:
        """The scripts that were run, and not those that were loaded."""
        return [command for command in self.commands if command[0] == "EVALSHA"]


class FakeConnection:
    """What `Link` uses of a redis-py connection; it is its own socket."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.answers: deque[Any] = deque()
        self._sock: FakeConnection | None = None
        self.is_cut = False

    def connect(self) -> None:
        if self.host.refuses:
            raise RedisConnectionError("refused")
        self._sock = self
        self.host.connections.append(self)

    def disconnect(self) -> None:
        self._sock = None

    def cut(self) -> None:
        self.is_cut = True
        self.answers.clear()

    def fileno(self) -> int:
        return 0

    def pack_command(self, *command: Any) -> list[tuple[Any, ...]]:
        return [command]

    def pack_commands(self, commands: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return commands

    def sendall(self, command: tuple[Any, ...]) -> None:
        if self.is_cut:
            raise BrokenPipeError("cut")
        self.host.receive(self, command)

    def send_packed_command(
        self, commands: list[tuple[Any, ...]], check_health: bool = True
    ) -> None:
        for command in commands:
            self.sendall(command)

    def can_read(self, timeout: float = 0) -> bool:
        return self.is_cut or bool(self.answers)

    def read_response(self, **options: Any) -> Any:
        if not self.answers:
            raise RedisConnectionError("closed")
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer
