"""A worker in the process that publishes, over `InMemoryChannelLayer`: how projects test tasks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, Task, current_app
from celery.contrib.testing.worker import start_worker
from celery.result import allow_join_result
from celery.worker import state
from django.test import override_settings
from kombu.asynchronous import set_event_loop

import cq_transport
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

MEMORY = {
    "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 900}}
}
POOLS = {"solo": 1, "threads": 4}
PATIENCE = 20.0

ran: list[str] = []
held, gate = threading.Event(), threading.Event()


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    """An app with tasks; the worker makes it the process's own for as long as it runs."""
    cq_transport.register()
    before = current_app._get_current_object()
    app = Celery("memory", broker="channels://", backend="cache+memory://", set_as_current=False)
    app.conf.worker_hijack_root_logger = False

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="note")
    def note(name: str) -> None:
        ran.append(name)

    @app.task(name="spawn")
    def spawn(*names: str) -> None:
        for name in names:
            note.delay(name)

    @app.task(name="again", bind=True, max_retries=3)
    def again(self: Task) -> int:
        if self.request.retries < 2:
            raise self.retry(countdown=0.05)
        return int(self.request.retries)

    @app.task(name="hold")
    def hold(name: str) -> None:
        held.set()
        gate.wait(PATIENCE)
        ran.append(name)

    with override_settings(CHANNEL_LAYERS=MEMORY), allow_join_result(), root_logger_as_it_is():
        yield app
    before.set_default()
    before.set_current()


@contextmanager
def root_logger_as_it_is() -> Iterator[None]:
    """Undo what a worker does to the root logger, which the other tests of this process share."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


@contextmanager
def working(app: Celery, pool: str) -> Iterator[Any]:
    # A hub that an earlier worker has left keeps that one's timer: tasks with a countdown stay.
    set_event_loop(None)
    with start_worker(app, POOLS[pool], pool, perform_ping_check=False) as worker:
        yield worker


@pytest.fixture(scope="module", params=POOLS)
def worker(request: pytest.FixtureRequest, app: Celery) -> Iterator[Any]:
    """A worker of each pool that runs in this process."""
    with working(app, request.param) as worker:
        yield worker


@pytest.fixture(autouse=True)
def _forget() -> None:
    ran.clear()
    held.clear()
    gate.clear()


def names(count: int) -> list[str]:
    return [f"task {number}" for number in range(count)]


def wait_ran(count: int) -> list[str]:
    wait_until(lambda: len(ran) >= count, PATIENCE, lambda: f"{count} tasks, {len(ran)} ran")
    return sorted(ran)


def open_when_stopping(ended: threading.Event) -> None:
    """Let the tasks that are held go on once the worker was told to stop, or has ended."""
    wait_until(
        lambda: state.should_terminate is not None or ended.is_set(), PATIENCE, "the worker's end"
    )
    gate.set()


# Before those that share a worker, which would take what is published here.
@pytest.mark.parametrize("name", POOLS)
def test_what_a_worker_has_not_begun_is_left_to_the_next(app: Celery, name: str) -> None:
    ended = threading.Event()
    with working(app, name):
        for task in names(50):
            app.send_task("hold", (task,))
        assert held.wait(PATIENCE)
        threading.Thread(target=open_when_stopping, args=(ended,)).start()
    ended.set()
    before = len(ran)

    with working(app, name):
        wait_until(lambda: set(ran) >= set(names(50)), PATIENCE, lambda: f"50 tasks, of {ran}")
    assert before < 50, "the first worker has run everything"
    # The threads of a worker that ends within its process go on with what had waited for them;
    # those of a process that ends do not.
    assert name == "threads" or sorted(ran) == sorted(names(50))


def test_results(app: Celery, worker: Any) -> None:
    results = [app.send_task("add", (number, 1)) for number in range(20)]

    assert [result.get(timeout=PATIENCE) for result in results] == list(range(1, 21))


def test_each_task_runs_once(app: Celery, worker: Any) -> None:
    for name in names(500):
        app.send_task("note", (name,))

    assert wait_ran(500) == sorted(names(500))


def test_tasks_publish_tasks(app: Celery, worker: Any) -> None:
    app.send_task("spawn", names(50))

    assert wait_ran(50) == sorted(names(50))


def test_retries(app: Celery, worker: Any) -> None:
    assert app.send_task("again").get(timeout=PATIENCE) == 2


def test_remote_control(app: Celery, worker: Any) -> None:
    assert app.control.ping(timeout=PATIENCE, limit=1) == [{worker.hostname: {"ok": "pong"}}]
