"""Real workers of every pool that compete for tasks over PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from django.test import override_settings

import cq_transport
from tests.extent import extent
from tests.integration.fleet import (
    NODES,
    NOTE,
    POOLS,
    TASKS,
    Fleet,
    prove_hand_back,
    publish,
    running,
    wait_for_more,
)
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration

LAYER_APP = "channels_postgres"
MANY = extent(500, 1_000)


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, make_layer_database: Callable[[], dict[str, Any]]
) -> Project:
    database = {**make_layer_database(), "TIME_ZONE": "UTC"}
    config = {**database, "expiry": 86_400}
    return Project(
        tmp_path_factory.mktemp("postgres"),
        INSTALLED_APPS=["cq_compat", LAYER_APP],
        DATABASES={"default": database, LAYER_APP: database},
        CHANNEL_LAYERS={
            "default": {
                "BACKEND": "channels_postgres.core.PostgresChannelLayer",
                "CONFIG": config,
            }
        },
        CELERY_BROKER_URL="channels://",
        CELERY_TASK_IGNORE_RESULT=True,
    )


@pytest.fixture(scope="module")
def app(project: Project) -> Iterator[Celery]:
    """An app of this process that publishes to the workers."""
    cq_transport.register()
    installed = [*settings.INSTALLED_APPS, LAYER_APP]
    with override_settings(INSTALLED_APPS=installed), project.client() as app:
        yield app


@pytest.fixture(scope="module")
def fleet(project: Project) -> Iterator[Fleet]:
    with running(project) as fleet:
        yield fleet


def shares(app: Celery) -> dict[str, int]:
    """Return how many of its `NOTE` tasks each worker says that it has run."""
    stats = app.control.inspect(timeout=10, limit=len(POOLS)).stats()
    return {node.split("@")[0]: found["total"].get(NOTE, 0) for node, found in stats.items()}


def test_competing_workers_run_each_task_once(app: Celery, project: Project, fleet: Fleet) -> None:
    ids = publish(app, MANY)

    assert project.wait_recorded(ids, "run", timeout=60) == {key: ["run"] for key in ids}

    found = wait_until(lambda: sum((seen := shares(app)).values()) >= MANY and seen)
    assert sum(found.values()) == MANY
    assert found.keys() == POOLS.keys() and all(found.values()), f"who has run nothing? {found}"


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_publish_tasks(app: Celery, project: Project, fleet: Fleet, pool: str) -> None:
    before = project.records().keys()
    publish(app, 5, f"{TASKS}.spawn", 20, NOTE, queue=pool)

    wait_for_more(project, before, 100)

    after = project.records()
    assert {key: after[key] for key in after.keys() - before} == {
        key: ["run"] for key in after.keys() - before
    }


def test_remote_control(app: Celery, project: Project, fleet: Fleet) -> None:
    control: Any = app.control
    solo = {"destination": ["solo@test"], "reply": True, "timeout": 10}

    replies = control.ping(timeout=10, limit=len(POOLS))
    assert {node for reply in replies for node in reply} == NODES

    (reply,) = control.cancel_consumer("solo", **solo)
    assert "ok" in reply["solo@test"]
    for_solo, for_others = publish(app, 1, queue="solo"), publish(app, 1, queue="prefork")
    project.wait_recorded(for_others, "run")
    assert for_solo[0] not in project.records()

    control.add_consumer("solo", **solo)
    project.wait_recorded(for_solo, "run")


@pytest.mark.parametrize("fault", ["cut connections", "restart"])
def test_workers_go_on(
    app: Celery, project: Project, fleet: Fleet, postgres_server: PostgresServer, fault: str
) -> None:
    def restart() -> None:
        postgres_server.stop()
        postgres_server.start()

    happens = restart if fault == "restart" else postgres_server.cut_connections
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):  # what was mended once is mended again
            before = project.records().keys()
            publishing = pool.submit(publish, app, MANY // 2)
            wait_for_more(project, before)
            happens()
            ids = publishing.result()
            ids += [key for name in POOLS for key in publish(app, 1, queue=name)]
            runs = project.wait_recorded(ids, "run", timeout=60)
            assert runs == {key: ["run"] for key in ids}
    assert len(app.control.ping(timeout=10, limit=len(POOLS))) == len(POOLS)


def test_terminated_workers_hand_back(
    app: Celery, project: Project, fleet: Fleet, tmp_path: Path
) -> None:
    """The last case: it ends the fleet."""
    records = prove_hand_back(app, project, fleet, tmp_path / "gate")

    assert all(events == ["start"] for events in records.values())
