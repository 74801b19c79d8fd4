"""A server process in a private directory: start, stop, kill, freeze."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias, TypeVar

from tests.servers.errors import ServerError
from tests.servers.forked import ROOT, Forked, start
from tests.servers.lifetime import die_with_parent

DaemonT = TypeVar("DaemonT", bound="Daemon")
Process: TypeAlias = "subprocess.Popen[bytes] | Forked"


class Daemon:
    """A server process that ends with its context, with `close()` or with its parent's life."""

    name = "server"
    start_timeout = 15.0  # seconds
    stop_timeout = 10.0  # seconds
    stop_signal = signal.SIGTERM
    orphan_signal = signal.SIGKILL
    forks = False  # from a process that has done the imports, if it may be

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"cq-{self.name}-"))
        self.process: Process | None = None
        self._live: list[Process] = []
        self._cleanup = weakref.finalize(self, _clean, self._live, self.directory, os.getpid())

    def command(self) -> list[str]:
        """Return the command line of the server."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether the server serves requests; may raise `OSError` while it does not."""
        raise NotImplementedError

    def popen_options(self) -> dict[str, Any]:
        """Return further arguments for `subprocess.Popen`."""
        return {"cwd": ROOT}

    @property
    def log_path(self) -> Path:
        """The file that has what the server printed."""
        return self.directory / "log"

    @property
    def log(self) -> str:
        """What the server printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def running(self) -> bool:
        """Tell whether the process exists."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the running process. Raises: ServerError when there is none."""
        if self.process is None or not self.running:
            raise ServerError(f"{self.name} is not running")
        return self.process.pid

    def start(self: DaemonT) -> DaemonT:
        """Start the server and return when it answers. Raises: ServerError with its log."""
        if self.running:
            raise ServerError(f"{self.name} is running already")
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start the process and return at once."""
        with self.log_path.open("ab") as log:
            self.process = self.spawn(log)
        self._live[:] = [self.process]

    def spawn(self, log: BinaryIO) -> Process:
        """Start the process, which is to print to `log`."""
        options = self.popen_options()
        if self.forks and (forked := start(self.command(), options, log)) is not None:
            return forked
        return subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent alone
            preexec_fn=die_with_parent(self.orphan_signal),
            **options,
        )

    def wait_ready(self) -> None:
        """Return when the server answers. Raises: ServerError with its log."""
        deadline = time.monotonic() + self.start_timeout
        while not self._answers_now():
            if not self.running:
                code = self.process.returncode if self.process else None
                raise ServerError(f"{self.name} ended with {code} at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    f"{self.name} gave no answer in {self.start_timeout:g} s:\n{self.tail()}"
                )
            time.sleep(0.01)

    def _answers_now(self) -> bool:
        try:
            return self.running and self.answers()
        except OSError:
            return False

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.splitlines()[-lines:])

    def signal(self, sig: int) -> None:
        """Send `sig` to the server process."""
        os.kill(self.pid, sig)

    def stop(self, timeout: float | None = None) -> None:
        """End the server politely; by force after `timeout` seconds."""
        if self.process is None or not self.running:
            return
        self.signal(signal.SIGCONT)  # a frozen process could not obey
        self.signal(self.stop_signal)
        try:
            self.process.wait(self.stop_timeout if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server and its process group as a crash would, with SIGKILL."""
        if self.process is not None:
            _kill(self.process)

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): its sockets stay open, nothing answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and delete its directory."""
        self.stop()
        self._cleanup()

    def __enter__(self: DaemonT) -> DaemonT:
        try:
            return self if self.running else self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _clean(live: list[Process], directory: Path, owner: int) -> None:
    if os.getpid() != owner:  # a forked child must not end its parent's servers
        return
    for process in live:
        _kill(process)
    shutil.rmtree(directory, ignore_errors=True)


def _kill(process: Process) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # it leads the group that launch() gave it
        process.wait()
