"""Processes of `python`, forked from one that has done the imports; see `forkserver`."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

from tests.servers.errors import ServerError

#: Of the source tree, from where `tests` is importable.
ROOT = Path(__file__).resolve().parents[2]
#: Pools that replace parts of the standard library before anything else is imported.
PATCHING = ("gevent", "eventlet")
#: How the names of variables begin that the interpreter, or a module that is imported, reads once.
EARLY = ("PYTHON", "PROMETHEUS")
#: Which of them a fork heeds.
HEEDED = ("PYTHONPATH", "PYTHONUNBUFFERED")
#: Set to 0, every process is started anew.
SWITCH = "CQ_TEST_FORK"


class Forked:
    """A process that has been forked; it is asked after as a `subprocess.Popen` is.

    Args:
        arguments: a script, `-m` and a module, or `-c` and code; and what these are given.
        options: of `subprocess`: the whole environment `env` and the folder `cwd`.
        files: its standard input, output and error; files of the operating system.
        session: whether it leads a session, and so a process group, of its own.

    Raises:
        ServerError: there is no process to fork from.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        options: Mapping[str, Any],
        files: tuple[IO[Any], IO[Any], IO[Any]],
        *,
        session: bool = True,
    ) -> None:
        self.args = [sys.executable, *arguments]
        self.returncode: int | None = None
        self._line, told = socket.socketpair()
        self._asking = threading.Lock()
        env, cwd = dict(options["env"]), str(options["cwd"])
        request = {"arguments": list(arguments), "env": env, "cwd": cwd, "session": session}
        with told:
            numbers = [file.fileno() for file in files]
            _server().ask(request, [*numbers, told.fileno()])
        self._told = self._line.makefile("rb", buffering=0)
        if (pid := self._read("is")) is None:
            raise ServerError(f"{self.args} could not be forked")
        self.pid = pid

    def poll(self) -> int | None:
        """Return the exit code, None while the process goes on."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises: TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self._look(1)) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def kill(self) -> None:
        """End the process as a crash would, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _look(self, patience: float) -> int | None:
        with self._asking:
            if self.returncode is None and select.select([self._line], [], [], patience)[0]:
                code = self._read("ended")
                self.returncode = -9 if code is None else code  # it dies with its server
                self._told.close()
                self._line.close()
            return self.returncode

    def _read(self, word: str) -> int | None:
        told, _, number = self._told.readline().decode().partition(" ")
        return int(number) if told == word else None


def start(command: Sequence[str], options: Mapping[str, Any], log: BinaryIO) -> Forked | None:
    """Fork what a command would start; None if that would be another process."""
    arguments = arguments_of(command)
    if not may_fork(arguments, options):
        return None
    with open(os.devnull, "rb") as nothing:
        return Forked(arguments, options, (nothing, log, log))


def run(
    command: Sequence[str],
    options: Mapping[str, Any],
    text: str,
    timeout: float,
    *,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, forked if it may be, and return what it printed, its errors among
    the rest if `merged`.

    Raises: TimeoutExpired.
    """
    arguments = arguments_of(command)
    with ExitStack() as stack:
        given, out, err = (stack.enter_context(TemporaryFile("w+")) for _ in range(3))
        given.write(text)
        given.seek(0)
        files = (given, out, out if merged else err)
        if may_fork(arguments, options):
            process = Forked(arguments, options, files, session=False)
            try:
                code = process.wait(timeout)
            finally:
                process.kill()
        else:
            streams = dict(zip(("stdin", "stdout", "stderr"), files, strict=True))
            code = subprocess.run(command, timeout=timeout, **streams, **options).returncode
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(command), code, out.read(), err.read())


def may_fork(arguments: Sequence[str], options: Mapping[str, Any]) -> bool:
    """Tell whether a process, started with such options of `subprocess`, would be the same if it
    were forked.
    """
    return (
        os.environ.get(SWITCH) != "0"
        and arguments != []
        and (arguments[0] in ("-m", "-c") or not arguments[0].startswith("-"))
        and not any(name in argument for argument in arguments for name in PATCHING)
        and _early(options["env"]) == _early(os.environ)
    )


def arguments_of(command: Sequence[str]) -> list[str]:
    """Return what the interpreter is given by a command: one of its own, or a script beside it; an
    empty list if it is another program. A fork does not buffer, as with `-u`.
    """
    program, beside = Path(command[0]), Path(sys.executable).parent
    if program.parent != beside:
        return []
    if program.name.startswith("python"):
        return [word for number, word in enumerate(command[1:]) if (number, word) != (0, "-u")]
    is_script = program.read_bytes()[:256].partition(b"\n")[0].endswith(b"python")
    return list(command) if is_script else []


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in env.items() if name.startswith(EARLY) and name not in HEEDED
    }


class _Server:
    """The one process that this one forks from."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._orders, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with given:
            # It ends when the other end is gone, not with the thread that happens to start it.
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "tests.servers.forkserver"],
                stdin=given,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                start_new_session=True,
            )

    def ask(self, request: dict[str, Any], files: list[int]) -> None:
        socket.send_fds(self._orders, [json.dumps(request).encode()], files)


_starting = threading.Lock()
_servers: list[_Server] = []


def _server() -> _Server:
    with _starting:
        if not _servers or _servers[-1].owner != os.getpid():
            _servers[:] = [_Server()]
        return _servers[0]
