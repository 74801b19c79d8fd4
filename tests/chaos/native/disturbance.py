"""What goes on behind the back of tests: Redis is flushed, and workers are killed."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from threading import Event, Lock
from typing import Any

import redis
from django.db import Error, connections

from tests.acceptance.native.stage import PROCESSES
from tests.chaos.stage import kill_group
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker

#: Bodies that a kill hits run again, however often that is.
SETTINGS: dict[str, Any] = {
    "CQ": {"LEASE": 3, "MAX_DEATHS": 1000},
    "CELERY_TASK_ACKS_LATE": True,
    "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
}
#: One case in so many has a worker killed, the first among them; with 1, each has, in some minutes.
EACH = int(os.environ.get("CQ_TEST_KILL_EACH", 9))
#: Whose bodies run.
RUNNING = (
    "SELECT w.hostname FROM cq_task t JOIN cq_worker w ON w.id = t.owner_id "
    "WHERE t.state = 'STARTED' AND t.finished_at IS NULL"
)
#: Seconds from a flush to the next one.
FLUSH_EVERY = 1.0
#: Seconds between two looks for a body that has begun.
LOOK = 0.004


class Disturbance:
    """Two workers, one of which is killed in the middle of a body in some of the cases.

    Redis is flushed then, and every second. Used as a context manager.

    Args:
        project: whose workers these are.
        redis: the server to flush, unless a case has stopped it.
        using: the alias of the tasks' database.
        options: of the workers.
    """

    def __init__(self, project: Project, redis: RedisServer, using: str, *options: str) -> None:
        self._project, self._redis, self._using = project, redis, using
        self._options = ("-c", str(PROCESSES), *options)
        self._cases = count()
        self._workers = [self._make(), self._make()]
        self._wanted, self._over, self._killing = Event(), Event(), Lock()
        self._threads = ThreadPoolExecutor(2)
        self._going: list[Future[None]] = []
        self.flushes = self.kills = 0

    def __enter__(self) -> Disturbance:
        for worker in self._workers:
            worker.start()
        self._going = [self._threads.submit(each) for each in (self._flush, self._kill)]
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._threads.shutdown()
        for worker in self._workers:
            kill_group(worker)
            worker.close()
        for each in self._going:
            each.result()

    def __str__(self) -> str:
        return f"{self.kills} kills and {self.flushes} flushes"

    def next_case(self) -> None:
        """Let the worker be killed that begins the next body, if it is this case's turn."""
        if next(self._cases) % EACH == 0:
            self._wanted.set()

    def spare(self) -> None:
        """Let no worker be killed in this case."""
        with self._killing:
            self._wanted.clear()

    def _make(self) -> CeleryWorker:
        return self._project.worker(*self._options)

    def _flush(self) -> None:
        while not self._over.wait(FLUSH_EVERY):
            self._flush_now()

    def _flush_now(self) -> None:
        with suppress(redis.ConnectionError):  # a case has stopped it
            self._redis.flush()
            self.flushes += 1

    def _kill(self) -> None:
        try:
            while not self._over.wait(LOOK):
                with self._killing:
                    if self._wanted.is_set() and (victim := self._busy()):
                        self._wanted.clear()
                        self._replace(victim)
        finally:
            connections[self._using].close()  # that of this thread

    def _busy(self) -> CeleryWorker | None:
        """Return a worker in the middle of a body."""
        try:
            with connections[self._using].cursor() as cursor:  # models come and go with a case
                cursor.execute(RUNNING)
                names = {name for (name,) in cursor.fetchall()}
        except Error:  # a case has stopped the database
            connections[self._using].close()
            return None
        return next((worker for worker in self._workers if worker.nodename in names), None)

    def _replace(self, victim: CeleryWorker) -> None:
        self.kills += 1
        kill_group(victim)
        self._flush_now()
        self._workers.remove(victim)
        victim.close()
        self._workers.append(self._make().start())
