"""What bodies write is there once, although workers are killed and Redis is flushed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain
from celery.exceptions import WorkerLostError
from celery.result import AsyncResult
from django.db import transaction

from cq_compat.models import Task
from tests.acceptance.native.conftest import ALIAS, OPTIONS
from tests.project import native
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.worker import CeleryWorker

QUEUE = "faults"
#: Seconds of the workers' lease.
LEASE = 5
TIMEOUT = 60
CHAINS = 12


@pytest.fixture
def start_worker(project: Project) -> Iterator[Callable[[], CeleryWorker]]:
    """Start a worker whose tasks are soon given to others when it is dead."""
    settings = {**project.settings, "CQ": {"LEASE": LEASE}}
    short = Project(project.directory, **settings)
    started: list[CeleryWorker] = []

    def start() -> CeleryWorker:
        worker = short.worker("-c", "2", *OPTIONS[:-1], QUEUE).start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.close()


def publish(gate: str = "") -> tuple[str, AsyncResult]:
    """Publish a task whose body has an effect, and one that comes after it."""
    first, last = native.has_late_effect.si(gate), native.calc_a.si(1)
    end = chain(first.set(queue=QUEUE), last.set(queue=QUEUE)).delay()
    return end.parent.id, end


def test_effects_are_there_once(
    client: Celery,
    project: Project,
    redis_server: RedisServer,
    database: dict[str, Any],
    effects: Callable[[str], int],
    start_worker: Callable[[], CeleryWorker],
    tmp_path: Path,
) -> None:
    victim, gate = start_worker(), tmp_path / "gate"
    with transaction.atomic(using=ALIAS):  # SQLite lets nobody publish while a body goes on
        published = dict(publish() for _ in range(CHAINS // 2))
        held, end = publish(str(gate))
        published |= {held: end, **dict(publish() for _ in range(CHAINS // 2))}
        # Nor does it let two bodies go on at a time.
        others = 1 if "postgresql" in database["ENGINE"] else 0
        early = [native.has_effect.apply_async(("never",), queue=QUEUE) for _ in range(others)]
    project.wait_recorded([held, *(task.id for task in early)], "start")

    redis_server.flush()
    for process in victim.members():
        process.kill()
    gate.touch()
    start_worker()

    assert [each.get(timeout=TIMEOUT) for each in published.values()] == [10] * len(published)
    assert {effects(one) for one in published} == {1}
    assert {Task.objects.filter(parent_id=one).count() for one in published} == {1}
    assert Task.objects.get(pk=held).deaths == 1
    for task in early:  # it was acknowledged before its body, and may not run again
        assert isinstance(task.wait(TIMEOUT, propagate=False), WorkerLostError)
        assert (task.status, effects(task.id)) == (Task.STATUS_LOST, 0)
