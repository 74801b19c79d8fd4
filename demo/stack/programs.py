"""What the demo consists of: the commands that one would start by hand, too."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

from demo.live.queues import QUEUES
from demo.places import redis_socket
from demo.stack import redis
from demo.stack.program import Program

HOST = "127.0.0.1"


def redis_program(var: Path) -> Program:
    """The server for both channel layers and for the results."""
    (var / "redis").mkdir(exist_ok=True)
    command = redis.server_command(var / "redis", redis_socket())
    return Program("redis", command, _log(var, "redis"), lambda _: redis.answers(redis_socket()))


def migration(var: Path) -> Program:
    """The command that makes the tables."""
    command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    return Program("migrate", command, _log(var, "migrate"))


def shop_programs(var: Path, port: int) -> list[Program]:
    """The programs of the shop, in the order in which they start; they end in the reverse one."""
    celery = [sys.executable, "-m", "celery", "-A", "demo"]
    worker = ["worker", "--queues", ",".join(QUEUES), "--concurrency", "2", "--loglevel", "INFO"]
    camera = ["events", "--camera", "demo.live.camera.Camera", "--frequency", "0.5"]
    web = ["-m", "uvicorn", "demo.asgi:application", "--host", HOST, "--port", str(port)]
    web += ["--lifespan", "off", "--timeout-graceful-shutdown", "3"]
    beat = ["beat", "--loglevel", "INFO"]
    return [
        Program("worker", celery + worker, _log(var, "worker"), _says(" ready."), grace=15),
        Program("camera", celery + camera, _log(var, "camera"), _says("Taking snapshots")),
        Program("web", [sys.executable, *web], _log(var, "web"), _says("Uvicorn running")),
        Program("beat", celery + beat, _log(var, "beat"), _says("beat: Starting")),
    ]


def environment(var: Path) -> dict[str, str]:
    """What the programs find in their environment, next to what is there already."""
    return {
        "CQ_DEMO_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "demo.settings",
        "PYTHONUNBUFFERED": "1",
    }


def choose_port(wanted: int) -> int:
    """Return the wanted port, or a free one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            # A port is free even if the last connections to it still linger.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError("no free port")  # cannot be: the system chooses one for port 0


def _says(text: str) -> Callable[[str], bool]:
    return lambda log: text in log


def _log(var: Path, name: str) -> Path:
    return var / "logs" / f"{name}.log"
