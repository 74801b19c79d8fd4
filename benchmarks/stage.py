"""What one run needs: an empty broker, an empty database, shared slots, a worker, a publisher."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.databases import Databases
from benchmarks.sides import Link, Side
from benchmarks.slots import FIRST, REPEATED, Slots
from tests.servers.daemon import ROOT
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess

STALL = 60.0  # seconds without a single further task after which a run has failed


@dataclass(frozen=True)
class Servers:
    """The servers of all runs; there are `databases` if a measure needs them."""

    redis: RedisServer
    databases: Databases | None = None


class Stage:
    """One side on one link, with an empty queue and an empty slot for each of `tasks` tasks."""

    def __init__(
        self, servers: Servers, side: Side, link: Link, tasks: int, *, needs_database: bool
    ) -> None:
        self._resources = ExitStack()
        self._servers = servers
        self._side = side
        self._link = link
        enter = self._resources.enter_context
        self._path = Path(enter(tempfile.TemporaryDirectory(prefix="cq-bench-"))) / "slots"
        self._databases = servers.databases if needs_database else None
        self._database = enter(self._databases.fresh()) if self._databases else ""
        self.slots = Slots.create(self._path, tasks)
        self._flush()

    def _flush(self) -> None:
        with self._servers.redis.client(db=self._side.database) as client:
            client.flushdb()

    def _env(self, link: Link) -> dict[str, str]:
        database = self._databases.django(self._database) if self._databases else None
        return self._side.env(link, self._path, database)

    def fill(self, tasks: int) -> None:
        """Publish so many tasks by the shortest way."""
        self._publish(Link.direct(self._servers.redis), "burst", FIRST, tasks, 0)

    def publish(self, command: str, *arguments: int) -> Any:
        """Run a publisher to its end and return what it printed."""
        return self._publish(self._link, command, *arguments)

    def _publish(self, link: Link, command: str, *arguments: int) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.publisher", command, *map(str, arguments)],
            env=self._env(link),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the publisher failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[CeleryProcess]:
        """Run a worker with default flags and the given ones; it may not be ready yet."""
        worker = CeleryProcess(
            "worker", *arguments, app="benchmarks.app", env=self._env(self._link)
        )
        with worker:
            yield worker

    def await_ready(self, worker: CeleryProcess) -> None:
        """Publish the first task and return when the worker has run it."""
        self.publish("paced", FIRST, 1, 100)
        self.wait_noted(worker, FIRST + 1)

    def wait_noted(self, worker: CeleryProcess, until: int | None = None) -> None:
        """Return when every task, or those below number `until`, has noted its time once."""
        number, end = FIRST, until or len(self.slots.cells)
        while number < end:
            number = self._wait_beyond(number, worker)
        if self.slots.cells[REPEATED]:
            raise RuntimeError(f"{self.slots.cells[REPEATED]} tasks ran more than once")

    def _wait_beyond(self, number: int, worker: CeleryProcess) -> int:
        wait_until(
            lambda: self.slots.missing_from(number) > number or not worker.running,
            STALL,
            lambda: f"task {number} of {len(self.slots.cells)} to run:\n{worker.tail()}",
            interval=0.05,
        )
        if not worker.running:
            raise RuntimeError(f"the worker ended:\n{worker.tail()}")
        return self.slots.missing_from(number)

    def check_stored(self, tasks: int) -> None:
        """Raise if this side stores outcomes and has not stored the success of every task."""
        if self._databases and self._side.ended:
            stored = self._databases.count(self._database, self._side.ended)
            if stored != tasks:
                raise RuntimeError(f"ran {tasks} tasks, found {stored} successes stored")

    def close(self) -> None:
        """Forget the run: its messages, its rows and its files."""
        self._flush()
        self._resources.close()
