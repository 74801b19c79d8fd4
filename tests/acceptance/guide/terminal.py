"""A command that goes on in a terminal of its own."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.acceptance.guide.console import read_until
from tests.servers.daemon import Daemon
from tests.servers.waiting import wait_until

PATIENCE = 30.0  # seconds until a line must be printed, or an interrupted command must have ended


class Terminal(Daemon):
    """A command under the eyes of a reader, who sees its output and can press Ctrl-C.

    `seen_as` turns what the command prints into what the page has.
    """

    name = "terminal"
    forks = True

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        seen_as: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._arguments = list(arguments)
        self._where = {"cwd": directory, "env": dict(env)}
        self._seen_as = seen_as
        self._seen = 0  # lines

    def command(self) -> list[str]:
        return self._arguments

    def popen_options(self) -> dict[str, object]:
        return {**self._where}

    def expect(self, lines: Sequence[str]) -> None:
        """Wait until the command has printed `lines`, after those that were waited for before."""
        wait_until(lambda: not self._read(lines)[0], PATIENCE, lambda: self._complaint(lines))
        self._seen += self._read(lines)[1]

    def interrupt(self) -> None:
        """Press Ctrl-C, which every process of the terminal hears, and wait for the end."""
        assert self.process is not None, "nothing was started here"
        os.killpg(self.pid, signal.SIGINT)
        self.process.wait(PATIENCE)

    def close(self) -> None:
        """End what still runs, by force."""
        self.kill()
        super().close()

    @property
    def _new(self) -> list[str]:
        return self._seen_as(self.log).splitlines()[self._seen :]

    def _read(self, lines: Sequence[str]) -> tuple[list[str], int]:
        return read_until(lines, self._new)

    def _complaint(self, lines: Sequence[str]) -> str:
        return "\n".join([f"{self._read(lines)[0]} in:", *self._new])
