"""Starts the programs, watches them, and stops them in order."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

from demo.stack import programs
from demo.stack.errors import DemoError, Stopped
from demo.stack.lifeline import Lifeline
from demo.stack.program import Program

START_SECONDS = 60
TURN_SECONDS = 0.05
LOG_LINES = 15


class Supervisor:
    """The demo as a whole: everything that it started ends with the context."""

    def __init__(self, var: Path, port: int, host: str = programs.LOCAL) -> None:
        self.var = var
        self.host = host
        self.port = programs.choose_port(host, port)
        self.url = f"http://{programs.LOCAL}:{self.port}/"
        self.environment = programs.environment(var)
        self.password = self.environment["CQ_DEMO_PASSWORD"]
        self.programs: list[Program] = []
        self.asked = 0  # how often somebody asked for the end

    def __enter__(self) -> "Supervisor":
        self.lifeline = Lifeline(self.var)
        try:
            (self.var / "logs").mkdir(parents=True, exist_ok=True)
            self.lifeline.__enter__()
        except OSError as error:
            raise DemoError(
                f"{error}. Set CQ_DEMO_VAR to a directory that you may write to."
            ) from error
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self._ask)
        return self

    def _ask(self, sig: int, frame: FrameType | None) -> None:
        self.asked += 1

    def start(self) -> None:
        """Start everything and return when all of it is of use.

        Raises:
            DemoError: a program ended or is not ready in time.
            Stopped: somebody asked for the end.
        """
        if not os.environ.get("CQ_DEMO_REDIS_URL"):
            self._launch(programs.redis_program(self.var))
        self._prepare()
        self._launch(*programs.shop_programs(self.var, self.host, self.port))

    def _launch(self, *started: Program) -> None:
        for program in started:
            self.programs.append(program)
            program.start(self.lifeline, self.environment)
        for program in started:
            self.wait_for(program.ready, f"{program.name} to be ready")

    def _prepare(self) -> None:
        if not os.environ.get("DATABASE_URL"):
            with sqlite3.connect(self.var / "db.sqlite3") as database:
                database.execute("PRAGMA journal_mode = WAL")  # readers and the writer at once
            database.close()
        preparation = programs.preparation(self.var)
        preparation.start(self.lifeline, self.environment)
        try:
            self.wait_for(lambda: not preparation.running, "the tables")
        finally:
            preparation.kill()
        if preparation.exit_code:
            raise DemoError(self._obituary(preparation))

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Return when the condition holds.

        Raises:
            DemoError: it does not for too long, or a program ended.
            Stopped: somebody asked for the end.
        """
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            self.turn()
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {START_SECONDS} s for {what}; see {self.var / 'logs'}.")

    def turn(self) -> None:
        """Wait a moment and see that all is well.

        Raises:
            DemoError: a program ended.
            Stopped: somebody asked for the end.
        """
        time.sleep(TURN_SECONDS)
        if self.asked:
            raise Stopped
        for program in self.programs:
            if not program.running:
                raise DemoError(self._obituary(program))
        if self.lifeline.guard.poll() is not None:
            raise DemoError("The guard that ends the others in an emergency has ended itself.")

    def last_words(self) -> str:
        """Return the ends of all logs."""
        return "\n\n".join(_end_of_log(program) for program in self.programs)

    def _obituary(self, program: Program) -> str:
        return (
            f"{program.name} has ended with exit code {program.exit_code}. {_end_of_log(program)}"
        )

    def stop(self) -> None:
        """End the programs one by one, the last started first; at once if asked again."""
        patience = self.asked
        while self.programs:
            program = self.programs.pop()
            program.terminate()
            deadline = time.monotonic() + program.grace
            while program.running and time.monotonic() < deadline and self.asked == patience:
                time.sleep(TURN_SECONDS)
            program.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.lifeline.__exit__(kind, error, trace)


def _end_of_log(program: Program) -> str:
    last = "\n".join(program.log().splitlines()[-LOG_LINES:])
    return f"The end of {program.log_path}:\n\n{last}"
