"""The end of real workers of every pool over a layer that is known by its public calls alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest
from celery import Celery

from tests.integration.fleet import POOLS, TASKS, Fleet, publish, running, taken
from tests.integration.test_public_workers import app, project, server  # noqa: F401
from tests.servers.project import Project
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def fleet(project: Project) -> Iterator[Fleet]:  # noqa: F811
    with running(project) as fleet:
        yield fleet


def test_terminated_workers_hand_back(
    app: Celery,  # noqa: F811
    project: Project,  # noqa: F811
    fleet: Fleet,
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    ids = {name: publish(app, 80, f"{TASKS}.hold", str(gate), queue=name) for name in POOLS}
    wait_until(lambda: all(project.records().keys() & set(one) for one in ids.values()), 60)

    for worker in fleet.values():
        worker.signal(SIGTERM)
    for worker in fleet.values():
        worker.wait_log("Warm shutdown")
    gate.touch()
    assert {name: worker.wait() for name, worker in fleet.items()} == dict.fromkeys(POOLS, 0)

    records = project.records()
    for name, all_ids in ids.items():
        begun, back = [key for key in all_ids if key in records], taken(app, name)
        assert back, f"{name} has run everything"
        assert sorted(begun + back) == sorted(all_ids)
