"""What one run needs: an empty database, shared slots, a worker, a publisher."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.sides import Link, Side
from benchmarks.slots import FIRST, REPEATED, Slots
from tests.servers.daemon import ROOT
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess

STALL = 60.0  # seconds without a single further task after which a run has failed


class Stage:
    """One side on one link, with an empty queue and an empty slot for each of `tasks` tasks."""

    def __init__(self, redis: RedisServer, side: Side, link: Link, tasks: int) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="cq-bench-")
        self._path = Path(self._directory.name) / "slots"
        self._redis = redis
        self._side = side
        self._link = link
        self.slots = Slots.create(self._path, tasks)
        self._flush()

    def _flush(self) -> None:
        with self._redis.client(db=self._side.database) as client:
            client.flushdb()

    def fill(self, tasks: int) -> None:
        """Publish so many tasks by the shortest way."""
        self._publish(Link.direct(self._redis), "burst", FIRST, tasks, 0)

    def publish(self, command: str, *arguments: int) -> Any:
        """Run a publisher to its end and return what it printed."""
        return self._publish(self._link, command, *arguments)

    def _publish(self, link: Link, command: str, *arguments: int) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.publisher", command, *map(str, arguments)],
            env=self._side.env(link, self._path),
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
            "worker",
            *arguments,
            app="benchmarks.app",
            env=self._side.env(self._link, self._path),
        )
        with worker:
            yield worker

    def await_ready(self, worker: CeleryProcess) -> None:
        """Publish the first task and return when the worker has run it."""
        self.publish("paced", FIRST, 1, 100)
        self.wait_started(worker, FIRST + 1)

    def wait_started(self, worker: CeleryProcess, until: int | None = None) -> None:
        """Return when every task, or those below number `until`, has started exactly once."""
        number, end = FIRST, until or len(self.slots.cells)
        while number < end:
            number = self._wait_beyond(number, worker)
        if self.slots.cells[REPEATED]:
            raise RuntimeError(f"{self.slots.cells[REPEATED]} tasks ran more than once")

    def _wait_beyond(self, number: int, worker: CeleryProcess) -> int:
        wait_until(
            lambda: self.slots.missing_from(number) > number or not worker.running,
            STALL,
            lambda: f"task {number} of {len(self.slots.cells)} to start:\n{worker.tail()}",
            interval=0.05,
        )
        if not worker.running:
            raise RuntimeError(f"the worker ended:\n{worker.tail()}")
        return self.slots.missing_from(number)

    def close(self) -> None:
        """Forget the run: its messages and its files."""
        self._flush()
        self._directory.cleanup()
