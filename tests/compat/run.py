"""Run one suite over one broker, in a process of its own and against a server of its own."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from tests.compat.brokers import Broker
from tests.compat.errors import CompatError
from tests.compat.record import FILE
from tests.compat.results import Result, read
from tests.compat.suites import Suite
from tests.servers.lifetime import die_with_parent
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

#: Seconds after which a suite counts as stuck.
TIMEOUT = 45 * 60
#: pytest's exit codes of a run that came to its end: all passed, some failed.
ENDED = (0, 1)


class Run:
    """A suite over a broker: it starts with the context and is ended, if need be, with it."""

    def __init__(self, suite: Suite, broker: Broker, folder: Path) -> None:
        self.suite = suite
        self.broker = broker
        self.name = f"{suite.name} over {broker.name}"
        self.log = folder / f"{suite.name}-{broker.name}.log"
        self.records = folder / f"{suite.name}-{broker.name}.jsonl"

    def __enter__(self) -> "Run":
        self.records.write_text("")
        with ExitStack() as stack:
            server = stack.enter_context(RedisServer())
            database = stack.enter_context(PostgresServer()) if self.broker.keeps_rows else None
            self.process = self._start(self.broker.environment(server, database))
            self._open = stack.pop_all()
        return self

    def results(self) -> dict[str, Result]:
        """Wait for the end and return what became of the tests.

        Raises: CompatError when the run did not come to its end.
        """
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise CompatError(f"{self.name}: no end in {TIMEOUT} s, see {self.log}") from None
        if code not in ENDED:
            raise CompatError(f"{self.name}: pytest ended with {code}, see {self.log}")
        return read(self.records)

    def _start(self, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        plugins = [f"-p{plugin}" for plugin in (*self.broker.plugins, "tests.compat.record")]
        options = ["-pno:cacheprovider", "-rA", "--durations=20", *plugins]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *self.suite.arguments],
                cwd=self.suite.folder,
                env={**environment, FILE: str(self.records)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):  # workers that a test left behind are of the group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._open.close()
