"""A program that the demo starts: its command, its log, its end."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from demo.places import ROOT
from demo.stack.lifeline import Lifeline


class Program:
    """A process in a group of its own, so that a Ctrl-C at the terminal is for the supervisor.

    Args:
        ready: tells from the log whether the program is of use.
        grace: seconds that it may take to end before it is killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        ready: Callable[[str], bool] = bool,
        grace: float = 5.0,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log
        self.is_ready = ready
        self.grace = grace
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, lifeline: Lifeline, environment: dict[str, str]) -> None:
        """Start the process, which ends with us."""
        self.lifeline = lifeline
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        lifeline.tie(self.process.pid)

    @property
    def running(self) -> bool:
        """Tell whether the process exists."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended; negative for a signal."""
        return self.process.returncode if self.process else None

    def ready(self) -> bool:
        """Tell whether the program is of use."""
        return self.running and self.is_ready(self.log())

    def log(self) -> str:
        """What the program has printed."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def terminate(self) -> None:
        """Ask the program to end."""
        if self.process is not None and self.running:
            self.process.terminate()

    def kill(self) -> None:
        """End what is left of the process group."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # the latter on macOS, for zombies
            pass
        self.process.wait()
        self.lifeline.untie(self.process.pid)
