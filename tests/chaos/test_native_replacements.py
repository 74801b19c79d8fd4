"""A worker dies when what a body has written, and what runs in its place, is committed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chaos.stage import Stage, kill_group
from tests.project import native
from tests.servers.waiting import wait_until

QUEUE = "victim"
MODULE = "tests.project.native"


@pytest.fixture(scope="module")
def stage_settings() -> dict[str, Any]:
    """Workers that know the tasks of `@task`."""
    return {"CELERY_IMPORTS": [MODULE]}


@pytest.fixture(scope="module", autouse=True)
def effects(stage: Stage) -> None:
    """The table that bodies write to."""
    stage.fetch("CREATE TABLE effect (task_id varchar(255) NOT NULL)")


@pytest.mark.parametrize("way", native.REPLACEMENTS)
def test_a_worker_dies_between_the_commit_and_the_send(stage: Stage, way: str) -> None:
    stage.worker()
    victim = stage.worker(QUEUE)
    order = {"options": {"queue": QUEUE}, "module": MODULE}
    (task_id,) = stage.publish("kills_its_worker_when_replaced", way, **order)
    wait_until(lambda: not victim.running, 60, "the worker to be dead")
    kill_group(victim)  # what is left of it
    stage.worker(QUEUE)

    # Until the last of what runs in its place has its id, it has given way and nothing more.
    wait_until(lambda: stage.states([task_id]) != ["IGNORED"], 60, "the last part to be published")
    stage.wait_finished()
    assert stage.states([task_id]) == ["SUCCESS"]
    [(result,)] = stage.fetch("SELECT result FROM cq_task WHERE id = %s", task_id)
    assert json.loads(result) == native.REPLACEMENTS[way][1]
    assert stage.fetch("SELECT count(*) FROM effect WHERE task_id = %s", task_id) == [(1,)]
    assert not stage.history().overwritten
