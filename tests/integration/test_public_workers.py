"""Real workers of every pool over a layer that is known by its public calls alone.

Its calls are those of `RedisChannelLayer`, whose `receive` repeats messages where processes
compete: here every task runs at least once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

import cq_transport
from tests.conformance.backends import ROOMY, UNKNOWN_LAYER
from tests.extent import extent
from tests.integration.fleet import (
    NODES,
    NOTE,
    POOLS,
    TASKS,
    Fleet,
    publish,
    running,
    wait_for_more,
)
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

MANY = extent(100, 300)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Project:
    hosts = [{"address": server.url, "socket_timeout": 30}]
    return Project(
        tmp_path_factory.mktemp("public"),
        CHANNEL_LAYERS={"default": {"BACKEND": UNKNOWN_LAYER, "CONFIG": {"hosts": hosts, **ROOMY}}},
        CELERY_BROKER_URL="channels://",
        CELERY_TASK_IGNORE_RESULT=True,
    )


@pytest.fixture(scope="module")
def app(project: Project) -> Iterator[Celery]:
    """An app of this process that publishes to the workers."""
    cq_transport.register()
    with project.client() as app:
        yield app


@pytest.fixture(scope="module")
def fleet(project: Project) -> Iterator[Fleet]:
    with running(project) as fleet:
        yield fleet


def test_the_layer_is_not_recognised(app: Celery) -> None:
    with app.connection_for_write() as connection:
        connection.connect()
        assert connection.transport.layer.description == "UnknownLayer through its public calls"


def test_competing_workers_lose_nothing(app: Celery, project: Project, fleet: Fleet) -> None:
    ids = publish(app, MANY)

    project.wait_recorded(ids, "run")

    assert project.records().keys() == set(ids)


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_run_once_without_competition(
    app: Celery, project: Project, fleet: Fleet, pool: str
) -> None:
    ids = publish(app, MANY, queue=pool)

    assert project.wait_recorded(ids, "run") == {key: ["run"] for key in ids}


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_publish_tasks(app: Celery, project: Project, fleet: Fleet, pool: str) -> None:
    before = project.records().keys()
    publish(app, 5, f"{TASKS}.spawn", 20, NOTE, queue=pool)

    wait_for_more(project, before, 100)


def test_remote_control(app: Celery, project: Project, fleet: Fleet) -> None:
    control: Any = app.control
    solo = {"destination": ["solo@test"], "reply": True, "timeout": 10}

    replies = control.ping(timeout=10, limit=len(POOLS))
    assert {node for reply in replies for node in reply} == NODES

    (reply,) = control.add_consumer("added", **solo)
    assert "ok" in reply["solo@test"]
    project.wait_recorded(publish(app, 1, queue="added"), "run")


@pytest.mark.parametrize("fault", ["cut connections", "flush", "restart"])
def test_workers_go_on(
    app: Celery, project: Project, fleet: Fleet, server: RedisServer, fault: str
) -> None:
    if fault == "restart":
        server.stop()
        server.start()
    else:
        with server.client() as client:
            client.flushall() if fault == "flush" else client.client_kill_filter(_type="normal")

    ids = {pool: publish(app, 10, queue=pool) for pool in POOLS}
    for pool, worker in fleet.items():
        try:
            project.wait_recorded(ids[pool], "run", 90)
        except AssertionError as late:
            pytest.fail(f"{pool}: {late}\n{worker.tail()}")
    wait_until(lambda: len(app.control.ping(timeout=1, limit=len(POOLS))) == len(POOLS), 90)
