"""`python -m demo`, and all that it starts."""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.servers.daemon import ROOT, Daemon
from tests.servers.waiting import wait_until


class Demo(Daemon):
    """The demo on a free port, with its files in a directory of its own."""

    name = "demo"
    start_timeout = 60.0  # seconds
    stop_timeout = 30.0  # seconds
    stop_signal = signal.SIGINT
    orphan_signal = signal.SIGTERM

    def __init__(self, var: Path, port: int = 0) -> None:
        super().__init__()
        self.var = var
        self.port = port
        self.family: list[psutil.Process] = []

    def command(self) -> list[str]:
        return [sys.executable, "-m", "demo", "--port", str(self.port)]

    def popen_options(self) -> dict[str, Any]:
        return {"cwd": ROOT, "env": demo_environment() | {"CQ_DEMO_VAR": str(self.var)}}

    def answers(self) -> bool:
        return "password" in self.log  # the last line of a start

    def launch(self) -> None:
        self.log_path.unlink(missing_ok=True)  # what an earlier start printed
        super().launch()

    def start(self) -> "Demo":
        super().start()
        self.family = psutil.Process(self.pid).children(recursive=True)
        return self

    @property
    def url(self) -> str:
        """The address that the demo prints."""
        return _find(r"Open +(\S+)", self.log)[0]

    @property
    def account(self) -> tuple[str, str]:
        """The name and the password for the admin, as the demo prints them."""
        name, password = _find(r"user (\S+), password (\S+)", self.log)
        return name, password

    def program(self, word: str) -> psutil.Process:
        """Return a process that the demo started itself, by a word of its command."""
        [found] = [p for p in self.family if word in p.cmdline() and p.ppid() == self.pid]
        return found

    def log_of(self, program: str) -> str:
        """Return what a program of the demo has printed."""
        return (self.var / "logs" / f"{program}.log").read_text()

    def wait_end(self) -> int:
        """Return the exit code once neither the demo nor anything it started runs."""
        assert self.process is not None
        code = self.process.wait(self.stop_timeout)
        wait_until(lambda: not self.survivors(), 10, lambda: f"the end of {self.survivors()}")
        return code

    def survivors(self) -> list[psutil.Process]:
        """Return what the demo started and still runs."""
        return [process for process in self.family if _alive(process)]


def demo_environment() -> dict[str, str]:
    """Return this process' environment without what would change the demo."""
    foreign = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not name.startswith("CQ_DEMO_")
    }


def _find(pattern: str, log: str) -> tuple[str, ...]:
    found = re.search(pattern, log)
    assert found is not None, log
    return found.groups()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
