"""Long-running `celery` commands as real processes: a worker, beat, an event monitor."""

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import psutil

from tests.servers.daemon import Daemon
from tests.servers.waiting import wait_until


class CeleryProcess(Daemon):
    """`celery -A APP COMMAND ARGUMENTS` in a process group of its own.

    It counts as started when its log matches `ready`. `env` is added to this process' environment.
    """

    name = "celery"
    start_timeout = 60.0  # seconds: an interpreter starts slowly on a busy machine
    stop_timeout = 30.0  # seconds
    forks = True

    def __init__(
        self,
        command: str,
        *arguments: str,
        app: str = "tests.project",
        env: Mapping[str, str] | None = None,
        ready: str = r"\S",
    ) -> None:
        super().__init__()
        self.arguments = [command, *arguments]
        self.app = app
        self.env = dict(env or {})
        self.ready = re.compile(ready)
        self._launched_at = 0  # where in the log the present process begins

    def command(self) -> list[str]:
        return [sys.executable, "-u", "-m", "celery", "-A", self.app, *self.arguments]

    def popen_options(self) -> dict[str, object]:
        return {**super().popen_options(), "env": {**os.environ, **self.env}}

    def launch(self) -> None:
        self._launched_at = len(self.log)
        super().launch()

    def answers(self) -> bool:
        return self.ready.search(self.log, self._launched_at) is not None

    def wait_log(self, pattern: str, timeout: float = 30.0) -> "re.Match[str]":
        """Return the first match of `pattern` in the log, and wait for it if need be."""
        return wait_until(
            lambda: re.search(pattern, self.log),
            timeout,
            lambda: f"{pattern!r} in the log:\n{self.tail()}",
        )

    def terminate(self, timeout: float | None = None) -> int:
        """Ask for a warm shutdown (SIGTERM) and return the exit code once it is done."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def quit(self, timeout: float | None = None) -> int:
        """Ask for a cold shutdown (SIGQUIT) and return the exit code once it is done."""
        self.signal(signal.SIGQUIT)
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; fail when the process or one of its children goes on too long."""
        assert self.process is not None, "not started"
        limit = self.stop_timeout if timeout is None else timeout
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {limit:g} s:\n{self.tail()}") from None
        wait_until(lambda: not self.members(), 5, lambda: f"children to end: {self.members()}")
        return code

    def members(self) -> list[psutil.Process]:
        """Return the live processes of the group: the main one and the pool's children."""
        if self.process is None:
            return []
        pids = [pid for pid in psutil.pids() if _group(pid) == self.process.pid]
        return [process for pid in pids if (process := _alive(pid)) is not None]

    def children(self) -> list[psutil.Process]:
        """Return the live processes of the group but the main one."""
        return [p for p in self.members() if self.process and p.pid != self.process.pid]

    def freeze_group(self) -> None:
        """Stop the main process and its children in their tracks (SIGSTOP)."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw_group(self) -> None:
        """Let all of a frozen group go on (SIGCONT)."""
        os.killpg(self.pid, signal.SIGCONT)

    def kill_main(self) -> None:
        """End the main process alone with SIGKILL, and leave its children to themselves."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def close(self) -> None:
        """End what is left of the group, by force if need be, and delete the directory."""
        self.stop()
        for orphan in self.members():
            orphan.kill()
        wait_until(lambda: not self.members(), what="the killed children to end")
        super().close()


class CeleryWorker(CeleryProcess):
    """`celery -A APP worker ARGUMENTS`; with no `-n`, workers are named w1, w2 and so on."""

    name = "worker"
    _numbers = itertools.count(1)

    def __init__(
        self,
        *arguments: str,
        app: str = "tests.project",
        env: Mapping[str, str] | None = None,
        nodename: str | None = None,
    ) -> None:
        self.nodename = nodename or f"w{next(self._numbers)}@test"
        options: Sequence[str] = ("-l", "INFO", "-n", self.nodename, *arguments)
        super().__init__("worker", *options, app=app, env=env, ready=r" ready\.")


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _alive(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
