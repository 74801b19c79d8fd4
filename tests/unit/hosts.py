"""A Redis host that lives in this process: a connection for `Pipe` and `HostReader` without a
server.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError

PATIENCE = 1.0  # seconds for which a socket may be silent
CODES = {NoScriptError: "NOSCRIPT", OutOfMemoryError: "OOM", ReadOnlyError: "READONLY"}


class FakeHost:
    """Answers the commands that its connections send, by `execute`, and fails on demand.

    `refuses` lets no connection be made; `silent` executes and answers nothing; `deaf` neither
    executes nor answers.
    """

    def __init__(self, execute: Callable[[tuple[Any, ...]], Any]) -> None:
        self.execute = execute
        self.refuses = self.silent = self.deaf = False
        self.sockets: list[FakeSocket] = []
        self.commands: list[tuple[Any, ...]] = []

    def connection(self) -> FakeConnection:
        """Make a connection, as a redis-py pool does."""
        return FakeConnection(self)

    def receive(self, sock: FakeSocket, command: tuple[Any, ...]) -> None:
        """Take a command."""
        if self.deaf:
            return
        self.commands.append(command)
        answer = self.execute(command)
        if not self.silent:
            sock.answer(answer)

    def cut(self) -> None:
        """Close every connection; answers that were not read are lost."""
        for sock in self.sockets:
            sock.cut()

    def close(self) -> None:
        """Close both ends of every connection."""
        for sock in self.sockets:
            sock.cut()
            sock.near.close()

    def scripts(self) -> list[tuple[Any, ...]]:
        """The scripts that were run, and not those that were loaded."""
        return [command for command in self.commands if command[0] == "EVALSHA"]


class FakeConnection:
    """What `Link` uses of a redis-py connection."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self._sock: FakeSocket | None = None

    def connect(self) -> None:
        if self.host.refuses:
            raise RedisConnectionError("refused")
        self._sock = FakeSocket(self.host)
        self.host.sockets.append(self._sock)

    def disconnect(self) -> None:
        if self._sock is not None:
            self._sock.near.close()
        self._sock = None


class FakeSocket:
    """A socket at whose other end the host answers while a request is being sent."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.near, self.far = socket.socketpair()
        self.setblocking, self.fileno = self.near.setblocking, self.near.fileno
        self.answers: deque[bytes] = deque()
        self.is_broken = False  # what has come can be read, nothing can be written
        self._requests = hiredis.Reader(encoding="utf-8")

    def gettimeout(self) -> float:
        return PATIENCE

    def send(self, packed: memoryview) -> int:
        if self.is_broken:
            raise BrokenPipeError("cut")
        self._requests.feed(bytes(packed))
        while (command := self._requests.gets()) is not False:
            self.host.receive(self, tuple(command))
        return len(packed)

    def recv(self, size: int) -> bytes:
        return self.answers.popleft() if self.answers else self.near.recv(size)

    def answer(self, answer: Any) -> None:
        self.answers.append(encoded(answer))

    def cut(self) -> None:
        self.is_broken = True
        self.answers.clear()
        self.far.close()


def encoded(answer: Any) -> bytes:
    """Return an answer in Redis' protocol."""
    if isinstance(answer, Exception):
        return f"-{CODES[type(answer)]} {answer}\r\n".encode()
    if isinstance(answer, int):
        return f":{answer}\r\n".encode()
    if answer is None:
        return b"*-1\r\n"
    if isinstance(answer, list):
        return f"*{len(answer)}\r\n".encode() + b"".join(map(encoded, answer))
    content = answer if isinstance(answer, bytes) else str(answer).encode()
    return f"${len(content)}\r\n".encode() + content + b"\r\n"
