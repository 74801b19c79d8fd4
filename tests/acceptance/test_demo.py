"""The demo does what its page offers, and leaves nothing behind however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers.daemon import ROOT, Daemon
from tests.servers.waiting import wait_until

PROGRAMS = {"valkey-server": 1, "worker": 3, "events": 1, "uvicorn": 1, "beat": 1}


class Demo(Daemon):
    """`python -m demo` with its files in a directory of its own."""

    name = "demo"
    start_timeout = 60.0  # seconds
    stop_timeout = 30.0  # seconds
    orphan_signal = signal.SIGTERM

    def __init__(self, var: Path) -> None:
        super().__init__()
        self.var = var
        self.family: list[psutil.Process] = []

    def command(self) -> list[str]:
        return [sys.executable, "-m", "demo", "--port", "0"]

    def popen_options(self) -> dict[str, object]:
        return {"cwd": ROOT, "env": demo_environment() | {"CQ_DEMO_VAR": str(self.var)}}

    def answers(self) -> bool:
        return "Open http://127.0.0.1:" in self.log

    def start(self) -> "Demo":
        super().start()
        self.family = psutil.Process(self.pid).children(recursive=True)
        return self

    def program(self, word: str) -> psutil.Process:
        """Return a process that the demo started itself, by a word of its command."""
        [found] = [p for p in self.family if word in p.cmdline() and p.ppid() == self.pid]
        return found

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


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with Demo(tmp_path) as running:
        yield running


def test_every_button_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--check"],
        cwd=ROOT,
        env=demo_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok  ") >= 10, done.stdout


def test_ctrl_c_ends_everything(demo: Demo) -> None:
    commands = [" ".join(process.cmdline()) for process in demo.family]
    found = {word: sum(word in command for command in commands) for word in PROGRAMS}
    assert found == PROGRAMS
    demo.signal(signal.SIGINT)
    assert demo.wait_end() == 0


def test_a_killed_supervisor_takes_everything_along(demo: Demo) -> None:
    demo.signal(signal.SIGKILL)
    assert demo.wait_end() == -signal.SIGKILL


def test_a_program_that_dies_ends_the_demo_and_is_named(demo: Demo) -> None:
    demo.program("worker").kill()
    assert demo.wait_end() == 1
    assert "worker has ended with exit code -9" in demo.log


def test_a_second_demo_on_the_same_files_is_refused(demo: Demo) -> None:
    second = subprocess.run(
        demo.command(), capture_output=True, text=True, timeout=60, **demo.popen_options()
    )
    assert second.returncode == 1
    assert "The demo runs already" in second.stderr
    assert demo.running


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
