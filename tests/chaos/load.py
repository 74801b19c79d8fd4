"""A worker under load, and the proof that it consumes everything it consumed before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery

from tests.servers.daemon import ROOT
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

QUEUES = ("first", "second")
TASK = "tests.project.tasks.note"


class Load:
    """One worker on two queues, and a process that publishes to both."""

    def __init__(
        self, directory: Path, app: Celery, project: Project, server: RedisServer, *pool: str
    ) -> None:
        self.app = app
        self.pool = pool
        self.project = project
        self.server = server
        self.worker: CeleryWorker = project.worker("-Q", ",".join(QUEUES), *pool)
        self._accepted_path = directory / "accepted"
        self._errors_path = directory / "errors"

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish to the queues meanwhile, in a process that ends with the context.

        What was accepted before is forgotten: each case answers for its own.
        """
        self._accepted_path.unlink(missing_ok=True)
        arguments = [sys.executable, "-m", "tests.chaos.publish", str(self._accepted_path), *QUEUES]
        with self._errors_path.open("ab") as errors:
            process = subprocess.Popen(
                arguments,
                env={**os.environ, **self.project.env},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
            )
        try:
            wait_until(self.accepted, 60, self.errors)
            yield
            process.communicate(b"stop\n", timeout=60)
            assert process.returncode == 0, self.errors()
        finally:
            process.kill()
            process.communicate()

    def accepted(self) -> list[str]:
        """The ids of the tasks whose publication has returned, since it began last."""
        if not self._accepted_path.exists():
            return []
        return self._accepted_path.read_text().split()

    def errors(self) -> str:
        """What the publishing processes have printed."""
        return self._errors_path.read_text()

    def lost(self) -> set[str]:
        """The accepted tasks that have not run."""
        return set(self.accepted()) - self.project.records().keys()

    def repeated(self) -> dict[str, list[str]]:
        """The tasks that ran more than once."""
        return {k: events for k, events in self.project.records().items() if len(events) > 1}

    def prove_consumption(self, timeout: float = 40.0) -> None:
        """Fail unless the worker runs a new task of each queue and answers remote control."""
        ids = [self._publish(queue, timeout) for queue in QUEUES]
        wait_until(
            lambda: self.project.records().keys() >= set(ids),
            timeout,
            lambda: f"a task of each queue of {QUEUES}:\n{self.worker.tail(60)}",
        )
        wait_until(self._ping, timeout, lambda: f"a ping's answer:\n{self.worker.tail(60)}")

    def prove_that_nothing_is_lost(self, timeout: float = 60.0) -> None:
        """Fail unless every accepted task has run."""
        wait_until(
            lambda: not self.lost(),
            timeout,
            lambda: f"{len(self.lost())} of {len(self.accepted())} tasks:\n{self.worker.tail(60)}",
        )

    def _publish(self, queue: str, timeout: float) -> str:
        def publish() -> Any:
            try:
                return self.app.send_task(TASK, queue=queue).id
            except self.app.connection_for_write().recoverable_connection_errors:
                return None

        return str(wait_until(publish, timeout, f"room for a task in {queue!r}"))

    def _ping(self) -> Any:
        try:
            return self.app.control.ping(destination=[self.worker.nodename], timeout=1.0)
        except self.app.connection_for_write().recoverable_connection_errors:
            return None
