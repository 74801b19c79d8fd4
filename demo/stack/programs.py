"""What the demo consists of: the commands that one would start by hand, too."""

import os
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from demo.live.queues import QUEUES
from demo.places import redis_socket
from demo.stack import redis
from demo.stack.errors import DemoError
from demo.stack.program import Program

LOCAL = "127.0.0.1"


def redis_program(var: Path) -> Program:
    """The server for both channel layers and for the results."""
    (var / "redis").mkdir(exist_ok=True)
    command = redis.server_command(var / "redis", redis_socket())
    return Program("redis", command, _log(var, "redis"), lambda _: redis.answers(redis_socket()))


def preparation(var: Path) -> Program:
    """The command that makes the tables and the account for the admin."""
    command = [sys.executable, "-m", "demo.stack.prepare"]
    return Program("prepare", command, _log(var, "prepare"))


def shop_programs(var: Path, host: str, port: int) -> list[Program]:
    """The programs of the shop, in the order in which they start; they end in the reverse one."""
    celery = [sys.executable, "-m", "celery", "-A", "demo"]
    worker = ["worker", "--queues", ",".join(QUEUES), "--concurrency", "2", "--loglevel", "INFO"]
    camera = ["events", "--camera", "demo.live.camera.Camera", "--frequency", "0.5"]
    web = ["-m", "uvicorn", "demo.asgi:application", "--host", host, "--port", str(port)]
    web += ["--lifespan", "off", "--timeout-graceful-shutdown", "3"]
    beat = ["beat", "--loglevel", "INFO"]
    return [
        Program("worker", celery + worker, _log(var, "worker"), _says(" ready."), grace=15),
        Program("camera", celery + camera, _log(var, "camera"), _says("Taking snapshots")),
        Program("web", [sys.executable, *web], _log(var, "web"), _says("Uvicorn running")),
        Program("beat", celery + beat, _log(var, "beat"), _says("beat: Starting")),
    ]


def environment(var: Path) -> dict[str, str]:
    """What the programs find in their environment; the secrets are new at each start."""
    # CELERY_BROKER_URL and the like, meant for another project, would go before our settings.
    own = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    return {
        **own,
        "CQ_DEMO_PASSWORD": own.get("CQ_DEMO_PASSWORD") or secrets.token_urlsafe(9),
        "CQ_DEMO_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "demo.settings",
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": own.get("SECRET_KEY") or secrets.token_urlsafe(50),
    }


def choose_port(host: str, wanted: int) -> int:
    """Return the wanted port, or a free one if it is taken.

    Raises:
        DemoError: the host has no port for us at all.
    """
    for port in (wanted, 0):
        with socket.socket() as listener:
            # A port is free even if the last connections to it still linger.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except (OSError, OverflowError):
                continue
            return int(listener.getsockname()[1])
    raise DemoError(f"Nothing can listen on {host}.")


def _says(text: str) -> Callable[[str], bool]:
    return lambda log: text in log


def _log(var: Path, name: str) -> Path:
    return var / "logs" / f"{name}.log"
