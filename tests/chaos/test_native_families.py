"""A family whose worker is killed, whose messages are lost, and whose ends nobody has followed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cq_compat.links import SUCCESS, Link
from tests.chaos.stage import Stage, kill_group
from tests.servers.waiting import wait_until

QUEUE = "victim"
MODULE = "tests.project.families"
BRANCHES, LEAVES = 6, 12
MEMBERS = 1 + BRANCHES + BRANCHES * LEAVES


@pytest.fixture(scope="module")
def stage_settings() -> dict[str, Any]:
    """Workers that know families."""
    return {"CELERY_IMPORTS": [MODULE]}


@pytest.fixture(autouse=True)
def leader(stage: Stage) -> None:
    """A worker that no fault hits."""
    stage.worker()


def begin(stage: Stage, name: str) -> str:
    """Publish a family of which no leaf ends before the file of that name exists."""
    gate = str(stage.gate(name))
    order = {"options": {"queue": QUEUE}, "module": MODULE}
    (root,) = stage.publish("late_root", BRANCHES, LEAVES, gate, QUEUE, **order)
    return root


def members(stage: Stage, root: str) -> list[tuple[str, str, str]]:
    """Return the ids, names and states of a family."""
    found = stage.fetch("SELECT id, name, state FROM cq_task WHERE root_id = %s", root)
    return [(str(task_id), str(name), str(state)) for task_id, name, state in found]


def running(stage: Stage, root: str) -> list[str]:
    """Return the leaves whose bodies have begun."""
    leaf = f"{MODULE}.late_leaf"
    return [one for one, name, state in members(stage, root) if (name, state) == (leaf, "STARTED")]


def check(stage: Stage, root: str) -> None:
    """The whole family has ended well and once, and each leaf has been counted."""
    stage.wait_finished([root])
    found = members(stage, root)
    assert len(found) == MEMBERS
    assert {state for _, _, state in found} == {"SUCCESS"}
    [(result,)] = stage.fetch("SELECT result FROM cq_task WHERE id = %s", root)
    assert json.loads(result) == f"{BRANCHES} x {LEAVES}"
    assert not stage.fetch(
        "SELECT 1 FROM cq_task p JOIN cq_task s ON s.parent_id = p.id AND s.is_subtask "
        "WHERE p.root_id = %s AND p.finished_at < s.finished_at",
        root,
    )
    assert not stage.history().overwritten


def test_a_worker_is_killed_and_the_layer_flushed(stage: Stage) -> None:
    victim = stage.worker(QUEUE)
    root = begin(stage, "killed")
    wait_until(lambda: running(stage, root), 60, lambda: str(members(stage, root)), 0.1)
    kill_group(victim)
    stage.redis.flush()
    stage.gate("killed").touch()
    stage.worker(QUEUE)
    check(stage, root)


def test_a_worker_is_killed_while_leaves_end(stage: Stage) -> None:
    victim = stage.worker(QUEUE)
    stage.gate("ending").touch()
    root = begin(stage, "ending")
    wait_until(
        lambda: sum(state == "SUCCESS" for _, _, state in members(stage, root)) > LEAVES,
        60,
        "some leaves to end",
        0.02,
    )
    kill_group(victim)
    stage.worker(QUEUE)
    check(stage, root)


def test_nobody_has_followed_an_end(stage: Stage) -> None:
    """What a process leaves that dies between a commit and what follows from it."""
    stage.worker(QUEUE)
    stage.gate("forgotten").touch()
    root = begin(stage, "forgotten")
    link = {"headers": Link(previous_id=root, runs_after=SUCCESS).headers()}
    (after,) = stage.publish("trace", options=link)
    stage.wait_finished([root, after])
    past = "now() - interval '1 minute'"
    stage.fetch(
        f"UPDATE cq_task SET state = 'WAITING', finished_at = NULL, waiting_since = {past} "
        "WHERE id = %s",
        root,
    )
    stage.fetch(
        "UPDATE cq_task SET state = 'PENDING', finished_at = NULL, run = run + 1, sent_at = NULL, "
        f"due_at = NULL, is_held = TRUE, created_at = {past} WHERE id = %s",
        after,
    )

    stage.wait_finished([root, after])
    assert stage.states([root, after]) == ["SUCCESS"]
    assert len(stage.project.records()[after]) == 4  # two bodies, each with its start and its end
