"""A project whose tasks are rows in PostgreSQL, with its servers, workers and publishers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.history import History, Row
from tests.chaos.publisher import Publisher
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

#: Seconds of a worker's lease.
LEASE = 5
#: Seconds for what the promise bounds: generous, because the machine may be busy.
DEADLINE = 60.0


class Stage:
    """Everything that a fault may hit; used as a context manager.

    Args:
        directory: where bodies keep their records.
        database: a migrated database on `postgres`.
        config: further entries of the layer's CONFIG.
        settings: further settings of the project.
    """

    def __init__(
        self,
        directory: Path,
        postgres: PostgresServer,
        redis: RedisServer,
        database: str,
        *,
        config: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.postgres, self.redis, self.database = postgres, redis, database
        defaults = {
            "INSTALLED_APPS": ["cq_compat"],
            "DATABASES": {"default": postgres.django(database)},
            "CELERY_RESULT_BACKEND": "cq",
            "CQ": {"LEASE": LEASE},
        }
        self.project = Project.on_redis(directory, redis, config=config, **{**defaults, **settings})
        self._exits = ExitStack()
        self._publisher: Publisher | None = None
        self.published: set[str] = set()
        self.asked: set[str] = set()
        self._workers: dict[str, CeleryWorker] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: Any) -> None:
        self._exits.close()

    # Workers

    def worker(
        self, queue: str = "celery", *, name: str = "", pool: Sequence[str] = ("-c", "2")
    ) -> CeleryWorker:
        """Return the worker of that name, or of a queue; a new one if there is none that lives.
        By default two of its tasks run, and ten more may wait.
        """
        found = self._workers.get(name or queue)
        if found is None or not found.running:
            found = self.project.worker(*pool, "--prefetch-multiplier", "5", "-Q", queue)
            self._workers[name or queue] = self._exits.enter_context(found)
        return found

    def forget(self, queue: str) -> None:
        """Let the next call of `worker` start another one for the queue."""
        self._workers.pop(queue, None)

    # Publishing

    def publish(self, task: str, *args: Any, **order: Any) -> list[str]:
        """Publish in another process, see `tests.chaos.publisher`, and return the ids."""
        if self._publisher is None:
            self._publisher = Publisher(self.project.env)
            self._exits.callback(self._publisher.close)
        ids = self._publisher.publish(task, *args, **order)
        if order.get("transaction") != "rollback":
            self.published.update(ids)
        return ids

    def gate(self, name: str) -> Path:
        """Return the path of a file that bodies wait for."""
        return self.project.directory / name

    # Looking

    def fetch(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run a statement in the tasks' database."""
        with psycopg.connect(self.postgres.dsn(self.database), autocommit=True) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def rows(self) -> dict[str, Row]:
        """Return what the database has of each task."""
        found = self.fetch(
            "SELECT id, state, run, fence, acks_late, deaths, finished_at IS NOT NULL FROM cq_task"
        )
        return {task_id: Row(*row) for task_id, *row in found}

    def states(self, ids: Iterable[str]) -> list[str]:
        """Return the states of tasks, each once, in the order of the alphabet."""
        rows = self.rows()
        return sorted({rows[task_id].state for task_id in ids})

    def error(self, task_id: str) -> str:
        """Return the class of a failed task's exception."""
        found = self.fetch("SELECT result FROM cq_task WHERE id = %s", task_id)
        name: str = json.loads(found[0][0])["exc_type"]
        return name

    def wait_state(self, ids: Sequence[str], state: str, timeout: float = DEADLINE) -> None:
        """Return when each of the tasks has that state."""
        wait_until(lambda: self.states(ids) == [state], timeout, lambda: self._seen(ids), 0.1)

    def wait_sent(self, ids: Sequence[str], timeout: float = DEADLINE) -> None:
        """Return when the rows of these tasks say that their messages were sent."""
        unsent = "SELECT 1 FROM cq_task WHERE id = ANY(%s) AND sent_at IS NULL"
        wait_until(
            lambda: not self.fetch(unsent, list(ids)), timeout, lambda: self._seen(ids), 0.05
        )

    def wait_renewed(self, seconds: float, timeout: float = DEADLINE) -> None:
        """Return when a worker has renewed its lease so many seconds after now."""
        [(now,)] = self.fetch("SELECT clock_timestamp()")
        later = "SELECT 1 FROM cq_worker WHERE seen_at > %s + %s * interval '1 second'"
        wait_until(lambda: self.fetch(later, now, seconds), timeout, "a lease to go on", 0.1)

    def wait_begun(self, ids: Sequence[str], timeout: float = DEADLINE) -> None:
        """Return when a body of each of the tasks has begun."""
        wanted = set(ids)
        wait_until(
            lambda: wanted <= set(self.project.records()), timeout, lambda: self._seen(ids), 0.05
        )

    def wait_finished(self, ids: Iterable[str] | None = None, timeout: float = DEADLINE) -> None:
        """Return when these tasks, or all that were published, have ended."""
        wanted = list(self.published if ids is None else ids)

        def left() -> int:
            found = self.fetch(
                "SELECT count(*) FROM cq_task WHERE id = ANY(%s) AND finished_at IS NOT NULL",
                wanted,
            )
            return len(wanted) - int(found[0][0])

        wait_until(lambda: not left(), timeout, lambda: self._seen(wanted), 0.1)

    def history(self) -> History:
        """Return what was seen of all tasks so far."""
        overwritten = [row[0] for row in self.fetch("SELECT id FROM audit")]
        return History(
            frozenset(self.published),
            self.rows(),
            self.project.records(),
            overwritten,
            frozenset(self.asked),
        )

    def _seen(self, ids: Iterable[str]) -> str:
        wanted = set(ids)
        rows = {task_id: row for task_id, row in self.rows().items() if task_id in wanted}
        counts: dict[str, int] = {}
        for row in rows.values():
            counts[row.state] = counts.get(row.state, 0) + 1
        some = [item for item in rows.items() if not item[1].is_finished][:3]
        return f"tasks, of which {len(wanted) - len(rows)} have no row, {counts}, such as {some}"


def kill_group(worker: CeleryWorker) -> None:
    """End a worker's main process and its children with SIGKILL."""
    members = worker.members()
    for process in members:
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not worker.members(), what="the killed worker to end")
    assert worker.process is not None
    worker.process.wait()
