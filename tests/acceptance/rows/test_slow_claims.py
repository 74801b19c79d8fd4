"""A database that does not answer a claim holds up that claim, and nothing else of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from signal import SIGTERM
from typing import Any

import psycopg
import pytest
from celery import Celery

from cq_compat import states
from cq_compat.models import Task
from tests.acceptance.rows.conftest import ALIAS, OPTIONS
from tests.project import tasks
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

TIMEOUT = 30
QUEUE = "slow"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"


def row(task_id: str) -> Task:
    return Task.objects.using(ALIAS).get(pk=task_id)


@pytest.fixture
def worker(app: Celery, project: Project) -> Iterator[CeleryWorker]:
    """A worker that is not started yet."""
    worker = project.worker("-c", "2", "-Q", QUEUE, *OPTIONS)
    yield worker
    worker.close()


@pytest.fixture
def database(project: Project) -> str:
    name: str = project.settings["DATABASES"]["default"]["NAME"]
    return name


@pytest.fixture
def waits(postgres_server: PostgresServer, database: str) -> Iterator[Callable[[], bool]]:
    """Tell whether somebody waits for a row."""
    with psycopg.connect(postgres_server.dsn(database), autocommit=True) as connection:
        yield lambda: connection.execute(WAITING, [database]).fetchall() != [(0,)]


@pytest.fixture
def holder(postgres_server: PostgresServer, database: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that may hold rows until it is rolled back."""
    with psycopg.connect(postgres_server.dsn(database)) as connection:
        yield connection


@pytest.fixture
def task_id(
    app: Celery,
    worker: CeleryWorker,
    holder: psycopg.Connection[Any],
    waits: Callable[[], bool],
) -> str:
    """A task whose claim waits for its row."""
    task_id: str = app.send_task(tasks.add.name, (1, 2), queue=QUEUE).id
    wait_until(lambda: row(task_id).sent_at)
    holder.execute("SELECT id FROM cq_task WHERE id = %s FOR UPDATE", [task_id])
    worker.start()
    wait_until(waits, TIMEOUT, "the claim to wait")
    return task_id


def test_the_worker_answers_meanwhile(
    app: Celery, worker: CeleryWorker, task_id: str, holder: psycopg.Connection[Any]
) -> None:
    control: Any = app.control
    assert control.ping([worker.nodename], timeout=TIMEOUT, limit=1)
    assert row(task_id).state == states.PENDING

    holder.rollback()

    wait_until(lambda: row(task_id).state == states.SUCCESS, TIMEOUT)


def test_what_is_claimed_at_the_end_is_handed_back(
    worker: CeleryWorker, task_id: str, holder: psycopg.Connection[Any]
) -> None:
    worker.signal(SIGTERM)
    worker.wait_log("Warm shutdown")
    holder.rollback()

    assert worker.wait() == 0
    found = row(task_id)
    assert (found.state, found.owner_id) in {(states.PENDING, None), (states.SUCCESS, None)}
    with worker:
        wait_until(lambda: row(task_id).state == states.SUCCESS, TIMEOUT)
    assert row(task_id).run == 0
