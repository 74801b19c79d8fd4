"""Monitors: what they see, and that a slow, frozen or dead one is no burden."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.tasks import PACKAGE, TIMEOUT, send
from tests.servers.ports import free_port
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess, CeleryWorker

NAME = "watched@test"
CAPACITY = 200
SETTINGS = {
    "CELERY_BROKER_TRANSPORT_OPTIONS": {"transient_capacity": CAPACITY, "transient_lease": 12},
    "CELERY_EVENT_QUEUE_EXPIRES": 12,
    "CELERY_TASK_SEND_SENT_EVENT": True,
    "environment": {"FLOWER_UNAUTHENTICATED_API": "true"},
}


@pytest.fixture(scope="module", autouse=True)
def worker(shared: Project) -> Iterator[CeleryWorker]:
    with shared.worker("-c", "2", "-E", nodename=NAME) as worker:
        yield worker


@pytest.fixture
def monitor(shared: Project) -> Iterator[CeleryProcess]:
    """A monitor that prints events, and is bound."""
    with shared.process("events", "--dump", ready="heartbeat") as monitor:
        yield monitor


def test_dump(app: Celery, monitor: CeleryProcess) -> None:
    app.control.revoke("revoked-id", destination=[NAME], reply=True, timeout=TIMEOUT)
    send(app, "noop", task_id="revoked-id")
    succeeds, fails, retries = send(app, "noop"), send(app, "fail"), send(app, "retry", 1)

    for state in ("received", "started", "succeeded"):
        monitor.wait_log(f"task {state}: {PACKAGE}.noop\\({succeeds.id}\\)")
    monitor.wait_log(f"task failed: {PACKAGE}.fail\\({fails.id}\\)")
    monitor.wait_log(f"task retried: {PACKAGE}.retry\\({retries.id}\\)")
    monitor.wait_log(f"{NAME} .*task revoked: ")  # it is named only if its event came before
    monitor.wait_log(f"{NAME} .*heartbeat: active=0")


class Capture:
    """A monitor in this process, which keeps what tasks tell."""

    def __init__(self, app: Celery, stack: ExitStack) -> None:
        self._events: list[dict[str, Any]] = []
        connection = stack.enter_context(app.connection_for_read())
        receiver = app.events.Receiver(connection, handlers={"*": self._events.append})
        self._connection, *_ = stack.enter_context(receiver.consumer_context())

    def has_seen(self, ids: set[str]) -> bool:
        """Look at what has come, and tell whether these tasks have succeeded."""
        with suppress(TimeoutError):
            while True:
                self._connection.drain_events(timeout=0.05)
        return ids <= {uuid for kind, uuid in self.seen() if kind == "task-succeeded"}

    def seen(self) -> list[tuple[str, str]]:
        """Return the type and the task of each of the worker's events."""
        return [(event["type"], event["uuid"]) for event in self._of_tasks()]

    def clocks(self) -> list[int]:
        """Return the logical times at which the worker has sent them."""
        return [event["clock"] for event in self._of_tasks()]

    def _of_tasks(self) -> list[dict[str, Any]]:
        return [e for e in self._events if e["hostname"] == NAME and "uuid" in e]


def test_every_monitor_gets_each_event_once_and_in_its_order(app: Celery) -> None:
    with ExitStack() as stack:
        first, second = (Capture(app, stack) for _ in range(2))
        ids = {send(app, "noop").id for _ in range(CAPACITY // 5)}
        # Both of them: of one that is not looked at, the queue would end with its lease.
        wait_until(lambda: all([first.has_seen(ids), second.has_seen(ids)]), TIMEOUT)

        seen = first.seen()
        assert second.seen() == seen
        kinds = ("task-received", "task-started", "task-succeeded")
        assert sorted(seen) == sorted((kind, task_id) for kind in kinds for task_id in ids)
        assert first.clocks() == sorted(set(first.clocks()))


def test_frozen_and_dead_monitors(
    shared: Project, app: Celery, monitor: CeleryProcess, redis_server: RedisServer
) -> None:
    with shared.process("events", "--dump", ready="heartbeat") as dead:
        dead.kill()
    monitor.freeze()
    most: dict[bytes, int] = {}
    for _ in range(20):
        for result in [send(app, "noop") for _ in range(25)]:
            result.get(timeout=TIMEOUT)
        for queue, waiting in event_queues(redis_server).items():  # until their leases end
            most[queue] = max(waiting, most.get(queue, 0))
    assert max(most.values()) <= CAPACITY
    assert list(most.values()).count(CAPACITY) >= 2

    wait_until(lambda: bindings(redis_server) == 1, TIMEOUT, "the worker's own to be left")
    wait_until(lambda: len(event_queues(redis_server)) <= 1, TIMEOUT, "the queues to end")
    monitor.thaw()
    wait_until(lambda: bindings(redis_server) == 2, TIMEOUT, "the thawed monitor's binding")
    result = send(app, "add", 1, 1)
    monitor.wait_log(f"task succeeded: {PACKAGE}.add\\({result.id}\\)")


def event_queues(server: RedisServer) -> dict[bytes, int]:
    """Return how many events wait, by the key of the queue; an empty queue has no key."""
    with server.client() as client:
        keys = client.keys("*default.celeryev.*")
        return {key: client.zcard(key) for key in keys}


def bindings(server: RedisServer) -> int:
    """Return how many queues events go to: monitors', and one of the worker for gossip."""
    with server.client() as client:
        return int(client.zcount("asgi:cq:default:bindings:celeryev", client.time()[0], "+inf"))


class Flower:
    """Flower's web pages and API."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def page(self, path: str) -> str:
        """Return a page as text."""
        with self._opener.open(self._base + path, timeout=TIMEOUT) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        """Return the answer of the API."""
        return json.loads(self.page(path))


def test_flower(shared: Project, app: Celery, tmp_path: Path) -> None:
    port = free_port()
    options = (f"--port={port}", "--address=127.0.0.1", f"--db={tmp_path}/db")
    with shared.process("flower", *options, ready="Connected to channels://"):
        flower = Flower(port)
        wait_until(lambda: NAME in flower.json("/api/workers?refresh=1"), TIMEOUT, "the worker")
        result = send(app, "add", 20, 22)
        result.get(timeout=TIMEOUT)

        def task() -> Any:
            return flower.json("/api/tasks").get(result.id)

        wait_until(lambda: task() and task()["state"] == "SUCCESS", TIMEOUT, "the task's end")
        assert task()["name"] == f"{PACKAGE}.add" and task()["worker"] == NAME
        about = flower.json("/api/workers?refresh=1")[NAME]
        assert [queue["name"] for queue in about["active_queues"]] == ["celery"]
        assert NAME in flower.page("/workers")
        assert f"{PACKAGE}.add" in flower.page(f"/task/{result.id}")
        assert NAME in flower.page(f"/worker/{NAME}")
