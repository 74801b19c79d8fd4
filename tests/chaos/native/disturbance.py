"""What goes on behind the back of tests: Redis is flushed, and workers are killed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from django.db import connections

from cq_compat import states
from cq_compat.models import Task
from tests.chaos.stage import kill_group
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker

#: Seconds from a flush to the next one.
FLUSH_EVERY = 1.0
#: Seconds between two looks for a body that has begun.
LOOK = 0.004


class Disturbance:
    """Two workers, one of which is killed in the middle of a body when a test asks for that.

    Redis is flushed then, and every second. Used as a context manager.

    Args:
        make: returns a worker that is not started yet.
        redis: the server to flush.
        using: the alias of the tasks' database.
    """

    def __init__(self, make: Callable[[], CeleryWorker], redis: RedisServer, using: str) -> None:
        self._make, self._redis, self._using = make, redis, using
        self._workers = [make(), make()]
        self._wanted, self._over = Event(), Event()
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

    def strike(self) -> None:
        """Let the worker be killed that begins the next body."""
        self._wanted.set()

    def _flush(self) -> None:
        while not self._over.wait(FLUSH_EVERY):
            self._redis.flush()
            self.flushes += 1

    def _kill(self) -> None:
        try:
            while not self._over.wait(LOOK):
                if self._wanted.is_set() and (victim := self._busy()):
                    self._wanted.clear()
                    self._replace(victim)
        finally:
            connections[self._using].close()  # that of this thread

    def _busy(self) -> CeleryWorker | None:
        """Return a worker in the middle of a body."""
        running = Task.objects.using(self._using).filter(state=states.STARTED, finished_at=None)
        names = set(running.values_list("owner__hostname", flat=True))
        return next((worker for worker in self._workers if worker.nodename in names), None)

    def _replace(self, victim: CeleryWorker) -> None:
        kill_group(victim)
        self._redis.flush()
        self.kills += 1
        self._workers.remove(victim)
        victim.close()
        self._workers.append(self._make().start())
