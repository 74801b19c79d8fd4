"""Ties the life of every process we start to our own."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from demo.stack import guard
from demo.stack.errors import DemoError

RELEASE_SECONDS = 5  # for a guard that still ends what an earlier run left


class Lifeline:
    """One demo for a directory, and nothing that survives it.

    The lock on the directory belongs to us and to the guard together, so that nobody starts anew
    before the last process of an earlier run has ended.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> "Lifeline":
        self._lock = (self.directory / "lock").open("w")
        self._acquire()
        self.guard = subprocess.Popen(
            [sys.executable, "-I", guard.__file__],
            stdin=subprocess.PIPE,
            pass_fds=[self._lock.fileno()],
            start_new_session=True,
            text=True,
        )
        return self

    def _acquire(self) -> None:
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                return fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DemoError(
                        f"The demo runs already on {self.directory}. Stop it first, "
                        "or set CQ_DEMO_VAR to another directory."
                    ) from None
                time.sleep(0.1)

    def tie(self, group: int) -> None:
        """Let a process group end with us."""
        self._write(f"+{group}\n")

    def untie(self, group: int) -> None:
        """Forget a process group that has ended."""
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        assert self.guard.stdin is not None
        try:
            self.guard.stdin.write(line)
            self.guard.stdin.flush()
        except BrokenPipeError:
            pass  # the supervisor sees that the guard has ended

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.guard.communicate()
        self._lock.close()
