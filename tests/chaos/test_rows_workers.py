"""Workers die, freeze, wake and go while they have tasks."""

from __future__ import annotations

import os
import signal

import pytest

from tests.chaos.stage import Stage, kill_group
from tests.servers.waiting import wait_until

QUEUE = "victim"
TO_VICTIM = {"options": {"queue": QUEUE}}


@pytest.fixture(autouse=True)
def leader(stage: Stage) -> None:
    """A worker that no fault hits: it leads, and sees to the tasks of those that are gone."""
    stage.worker()


class Load:
    """What a worker has: a body with early and one with late acknowledgement, and tasks that wait.

    The bodies end when `gate` exists.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        self.gate = stage.gate(name)
        self.early = stage.publish("trace", 0, str(self.gate), **TO_VICTIM)
        self.late = stage.publish("trace_late", 0, str(self.gate), **TO_VICTIM)
        stage.wait_begun([*self.early, *self.late])
        self.waiting = stage.publish("trace", count=6, **TO_VICTIM)
        stage.wait_state(self.waiting, "RECEIVED")


def test_a_worker_is_killed(stage: Stage) -> None:
    victim = stage.worker(QUEUE)
    load = Load(stage, "killed")
    kill_group(victim)
    load.gate.touch()
    stage.worker(QUEUE)
    stage.wait_finished()
    assert stage.states(load.early) == ["FAILURE"]
    assert stage.states([*load.late, *load.waiting]) == ["SUCCESS"]
    assert stage.error(load.early[0]) == "WorkerLostError"
    rows = stage.rows()
    assert [rows[task_id].deaths for task_id in (*load.early, *load.late)] == [1, 1]
    assert [len(stage.project.records()[task_id]) for task_id in load.late] == [3]  # started twice
    assert not stage.history().faults


def test_a_child_of_the_pool_is_killed(stage: Stage) -> None:
    victim = stage.worker(QUEUE)
    load = Load(stage, "child")
    for child in victim.children():
        child.kill()
    stage.wait_state(load.early, "FAILURE")
    load.gate.touch()
    stage.wait_finished()
    assert stage.error(load.early[0]) == "WorkerLostError"
    assert stage.states([*load.late, *load.waiting]) == ["SUCCESS"]
    assert not stage.history().faults


def test_a_task_that_ends_its_process_whenever_it_runs(stage: Stage) -> None:
    stage.worker(QUEUE)
    poisoned = stage.publish("poison", **TO_VICTIM)
    others = stage.publish("trace", count=10, **TO_VICTIM)
    stage.wait_finished()
    assert stage.states(poisoned) == ["FAILURE"]
    assert stage.error(poisoned[0]) == "WorkerLostError"
    assert len(stage.project.records()[poisoned[0]]) == 3
    assert stage.states(others) == ["SUCCESS"]
    assert not stage.history().faults


@pytest.mark.parametrize("whole_group", [False, True], ids=["main process", "whole group"])
def test_a_worker_is_frozen_past_its_lease(stage: Stage, whole_group: bool) -> None:
    victim = stage.worker(QUEUE)
    load = Load(stage, f"frozen-{whole_group}")
    os.killpg(victim.pid, signal.SIGSTOP) if whole_group else victim.freeze()
    stage.wait_state(load.early, "FAILURE")
    stage.forget(QUEUE)
    stage.worker(QUEUE)
    stage.wait_finished(load.waiting)
    load.gate.touch()
    stage.wait_finished(load.late)
    os.killpg(victim.pid, signal.SIGCONT)
    wait_until(lambda: _ended(stage, load), 30, "the bodies to end")
    assert victim.terminate(120) == 0
    assert stage.states(load.early) == ["FAILURE"]
    assert stage.states([*load.late, *load.waiting]) == ["SUCCESS"]
    assert not stage.history().faults


def _ended(stage: Stage, load: Load) -> bool:
    records = stage.project.records()
    return all(
        sum(event.startswith("end") for event in records[task_id]) >= count
        for task_id, count in ((load.early[0], 1), (load.late[0], 2))
    )


def test_a_worker_is_shut_down(stage: Stage) -> None:
    victim = stage.worker(QUEUE)
    load = Load(stage, "warm")
    victim.signal(signal.SIGTERM)
    victim.wait_log("Warm shutdown")
    load.gate.touch()
    assert victim.wait() == 0
    assert stage.states([*load.early, *load.late]) == ["SUCCESS"]
    assert "RECEIVED" not in stage.states(load.waiting)
    stage.worker(QUEUE)
    stage.wait_finished()
    ids = [*load.early, *load.late, *load.waiting]
    assert stage.states(ids) == ["SUCCESS"]
    records = stage.project.records()
    assert {len(records[task_id]) for task_id in ids} == {2}  # one body each
    assert not stage.history().faults
