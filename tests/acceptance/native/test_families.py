"""Subtasks, chained tasks, and what becomes of families when one of them does not end well."""

from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import TaskRevokedError

from cq_compat.errors import NotRunningHere, PreviousFailed, SubtasksFailed
from cq_compat.models import Task
from tests.acceptance.native.conftest import ALIAS
from tests.project import families
from tests.project.native import calc_a, fails, send_email
from tests.project.tasks import add, total
from tests.servers.project import Project
from tests.servers.waiting import wait_until

TIMEOUT = 30


def row(task_id: str) -> Task:
    return Task.objects.using(ALIAS).get(pk=task_id)


def wait_state(task_id: str, state: str) -> Task:
    wait_until(lambda: row(task_id).state == state, TIMEOUT, lambda: f"{state}: {row(task_id)}")
    return row(task_id)


def test_the_readmes_subtasks(app: Celery) -> None:
    task = families.send_emails.delay()

    assert task.wait(TIMEOUT) == "OK"
    assert task.status == Task.STATUS_COMPLETE
    assert [one.name for one in task.subtasks] == [send_email.name] * 2
    assert {one.state for one in task.subtasks} == {"SUCCESS"}
    assert {one.parent for one in task.subtasks} == {task}


def test_a_parent_waits_for_its_subtasks_alone(app: Celery, gate: Path) -> None:
    task = families.parent.delay(str(gate))

    waiting = wait_state(task.id, "WAITING")
    assert waiting.owner_id is None and waiting.finished_at is None
    assert task.status == Task.STATUS_WAITING and task.result == "parent"
    published = Task.objects.filter(parent_id=task.id)
    assert (published.count(), task.subtasks.count()) == (2, 1)
    gate.touch()
    assert task.wait(TIMEOUT) == "parent"
    assert task.status == Task.STATUS_COMPLETE
    assert row(task.id).run == 0


def test_the_readmes_chain(app: Celery) -> None:
    task = families.calculate_something.delay()

    assert task.wait(TIMEOUT) == 34
    assert row(task.id).result_from is not None
    assert row(row(task.id).result_from).args == "(30, 4)"


def test_a_chain_from_outside(app: Celery, gate: Path) -> None:
    first = families.wait_a_while.delay(str(gate), 5)
    second = first.chain(families.add_a_to_4, (4,))
    third = second.chain(add.s(10))
    assert second.status == third.status == "PENDING"
    gate.touch()

    assert [one.wait(TIMEOUT) for one in (first, second, third)] == [5, 9, 19]
    assert first.chain(families.add_a_to_4, (1,)).wait(TIMEOUT) == 6  # it has ended by now
    assert first.chain(families.keep.si(1)).wait(TIMEOUT) == [1]
    assert row(third.id).previous == second and list(second.next) == [third]


def test_a_chain_of_canvas(app: Celery) -> None:
    first = calc_a.delay(1)

    assert first.chain(chain(add.s(1), add.s(2))).wait(TIMEOUT) == 13
    assert [one.wait(TIMEOUT) for one in first.chain(group(add.s(1), add.s(2)))] == [11, 12]
    assert first.chain(chord([add.s(1), add.s(2)], total.s())).wait(TIMEOUT) == 23


def test_a_failure_ends_what_is_chained(app: Celery) -> None:
    first = fails.delay("broken")
    second = first.chain(families.add_a_to_4, (4,))
    third = second.chain(families.add_a_to_4, (4,))
    tail = first.chain(chain(add.s(1), add.s(2)))
    forced = first.chain(families.keep, ("forced",), force=True)
    told = first.errback(families.keep, ("told",))

    with pytest.raises(
        PreviousFailed, match=rf"{fails.name}\[{first.id}\]: ValueError\('broken'\)"
    ):
        second.wait(TIMEOUT)
    with pytest.raises(PreviousFailed, match="PreviousFailed"):
        third.wait(TIMEOUT)
    with pytest.raises(PreviousFailed, match="broken"):
        tail.wait(TIMEOUT)
    assert forced.wait(TIMEOUT) == [None, "forced"]
    error, word = told.wait(TIMEOUT)
    assert "ValueError('broken')" in error and word == "told"


def test_an_error_callback_that_is_not_needed(app: Celery) -> None:
    task = calc_a.delay(1)
    told = task.errback(families.keep)

    task.wait(TIMEOUT)
    wait_until(lambda: not Task.objects.filter(pk=told.pk).exists(), TIMEOUT)


def test_a_failed_subtask_fails_its_parent(app: Celery) -> None:
    task = families.has_failing.delay(8, [2, 5])

    with pytest.raises(SubtasksFailed) as caught:
        task.wait(TIMEOUT)
    message = str(caught.value)
    assert message.startswith("2 of 8 subtasks failed: ")
    assert all(f"ValueError('number {number}')" in message for number in (2, 5))
    assert families.fails_at.name in message
    assert {one.state for one in task.subtasks} == {"SUCCESS", "FAILURE"}
    assert task.error == message


def test_a_failure_climbs(app: Celery) -> None:
    task = families.has_failing_below.delay()

    with pytest.raises(SubtasksFailed, match=r"1 of 1 subtasks failed.*number 0"):
        task.wait(TIMEOUT)


def test_failures_that_are_tolerated(app: Celery) -> None:
    task = families.tolerates_failing.delay(4, [1])

    assert task.wait(TIMEOUT) == "most"
    assert "1 of 4 subtasks failed" in (row(task.id).traceback or "")


def test_a_failed_body_leaves_no_subtasks(app: Celery, effects: Callable[[str], int]) -> None:
    task = families.begins_and_fails.delay()

    with pytest.raises(ValueError, match="on purpose"):
        task.wait(TIMEOUT)
    assert task.subtasks.count() == effects(task.id) == 0


def test_a_task_of_celerys_waits(app: Celery, gate: Path) -> None:
    result = families.plain_parent.delay(str(gate))
    wait_state(result.id, "WAITING")
    gate.touch()
    assert result.get(timeout=TIMEOUT) == "plain"

    assert families.plain_returns_a_chain.delay().get(timeout=TIMEOUT) == 56


def test_canvas_as_subtasks(app: Celery, gate: Path) -> None:
    task = families.has_canvas.delay(str(gate))
    waiting = wait_state(task.id, "WAITING")
    assert waiting.subtasks.count() < 7  # some of them are published by others
    gate.touch()

    ids = task.wait(TIMEOUT)
    assert [app.AsyncResult(one).get(timeout=TIMEOUT) for one in ids] == [6, 6, 1, 2]
    assert task.subtasks.count() == 3 + 3 + 2
    assert not task.subtasks.exclude(state="SUCCESS").exists()


def test_the_result_of_a_chord(app: Celery) -> None:
    tasks = [families.returns_chord.delay(3) for _ in range(5)]

    assert [task.wait(TIMEOUT) for task in tasks] == [30] * 5


def test_the_bodies_of_chords_are_waited_for(app: Celery) -> None:
    for task in [families.begins_chords.delay(count) for count in (1, 1, 2, 3)]:
        ids = task.wait(TIMEOUT)
        bodies = Task.objects.in_bulk(ids)
        assert [bodies[one].result for one in ids] == [30] * len(ids)
        assert all(body.finished_at <= row(task.id).finished_at for body in bodies.values())


def test_a_chord_whose_header_ends_before_the_parent(app: Celery, gate: Path) -> None:
    task = families.outlasts_a_header.delay(str(gate))
    wait_until(lambda: row(task.id).state in ("WAITING", "SUCCESS"), TIMEOUT)
    assert row(task.id).state == "WAITING"
    gate.touch()

    body = row(task.wait(TIMEOUT))
    assert (body.state, body.result) == ("SUCCESS", 20)
    assert body.finished_at <= row(task.id).finished_at


def test_subtasks_end_while_the_end_is_written(app: Celery, gate: Path) -> None:
    result = chain(families.ends_late.s(str(gate)), families.keep.s("next")).delay()

    assert result.wait(TIMEOUT) == ["late", "next"]


def test_subtasks_begin_siblings(app: Celery) -> None:
    task = families.has_siblings.delay()

    assert task.wait(TIMEOUT) == "siblings"
    assert [one.state for one in task.subtasks] == ["SUCCESS"] * 2
    with pytest.raises(NotRunningHere):
        task.subtask(send_email, "too@late.org")


def test_what_is_chained_to_a_subtask_is_waited_for(app: Celery, gate: Path) -> None:
    task = families.waits_for_chained.delay(str(gate))
    wait_state(task.id, "WAITING")
    wait_until(lambda: {"SUCCESS", "STARTED"} == {one.state for one in task.subtasks}, TIMEOUT)
    gate.touch()

    assert task.wait(TIMEOUT) == "chained"


def test_celerys_chain_waits_for_subtasks(app: Celery, gate: Path) -> None:
    result = chain(families.parent.s(str(gate)), families.keep.s("next")).delay()
    first = Task.objects.get(pk=result.parent.id)
    wait_state(first.pk, "WAITING")
    assert not Task.objects.filter(pk=result.id).exists()
    gate.touch()

    assert result.wait(TIMEOUT) == ["parent", "next"]


def test_a_chord_of_parents(app: Celery, gate: Path) -> None:
    result = chord([families.parent.s(str(gate)), families.send_emails.s()], families.keep.s())()
    wait_until(lambda: Task.objects.filter(state="WAITING").exists(), TIMEOUT)
    gate.touch()

    assert result.wait(TIMEOUT) == [["parent", "OK"]]


def test_a_replaced_subtask_is_waited_for(app: Celery, gate: Path) -> None:
    task = families.has_replaced.delay(str(gate))
    wait_state(task.id, "WAITING")
    child = wait_until(lambda: task.subtasks.filter(state="WAITING").first(), TIMEOUT)
    after = child.chain(add.s(10))
    gate.touch()

    assert task.wait(TIMEOUT) == child.pk
    assert (child.result, after.wait(TIMEOUT)) == (3, 13)


def test_an_ignored_task_ends_what_is_chained(app: Celery, gate: Path) -> None:
    result = families.ignored.delay(str(gate))
    first = Task.objects.get(pk=result.id)
    held, forced = first.chain(families.keep), first.chain(families.keep, force=True)
    gate.touch()
    wait_state(first.pk, "IGNORED")
    late, later = first.chain(families.keep), first.chain(families.keep, force=True)

    for after in (held, late):
        with pytest.raises(TaskRevokedError, match=rf"{first.name}\[{first.pk}\] was ignored"):
            after.wait(TIMEOUT)
        assert after.status == "REVOKED"
    assert forced.wait(TIMEOUT) == later.wait(TIMEOUT) == [None]


def test_revoking_a_family(app: Celery, gate: Path, project: Project) -> None:
    task = families.waits_for_chained.delay(str(gate))
    after = task.chain(families.keep)
    later = after.chain(families.keep)
    wait_state(task.id, "WAITING")
    held = task.subtasks.filter(name=families.wait_a_while.name)
    wait_until(lambda: held.filter(state="STARTED").exists(), TIMEOUT)

    task.revoke("enough", terminate=True)

    with pytest.raises(TaskRevokedError, match="enough"):
        later.wait(TIMEOUT)
    assert {one.state for one in (task, after, later)} <= {"REVOKED", "PENDING"}
    states = {one.state for one in task.tree()}
    assert states == {"REVOKED", "SUCCESS"}


def test_a_revoked_body_goes_on(app: Celery, gate: Path, project: Project) -> None:
    later = gate.with_name("later")
    result = families.late_parent.delay(str(gate), str(later))
    project.wait_recorded([result.id], "start")
    task = Task.objects.get(pk=result.id)

    task.revoke()
    gate.touch()

    wait_until(lambda: [one.state for one in task.subtasks] == ["REVOKED"], TIMEOUT)
    later.touch()


def test_a_subtask_is_revoked(app: Celery, gate: Path) -> None:
    task = families.parent.delay(str(gate))
    wait_state(task.id, "WAITING")
    task.subtasks.get().revoke("not needed", terminate=True)

    with pytest.raises(SubtasksFailed, match="not needed"):
        task.wait(TIMEOUT)
    gate.touch()


def test_a_family_is_retried(app: Celery) -> None:
    task = families.has_failing.delay(2, [1])
    with pytest.raises(SubtasksFailed):
        task.wait(TIMEOUT)

    row(task.id).retry()

    wait_until(lambda: (row(task.id).run, row(task.id).state) == (1, "FAILURE"), TIMEOUT)
    assert (row(task.id).error or "").startswith("1 of 2 subtasks failed")
    assert task.subtasks.count() == 4


def test_a_tree(app: Celery) -> None:
    task = families.root.delay(2, 3)
    assert task.wait(TIMEOUT) == "2 x 3"
    task.chain(families.keep).wait(TIMEOUT)

    tree = task.tree()
    assert len(tree) == 1 + 2 + 6 + 1
    assert [len(branch) for branch in tree.branches] == [4, 4, 1]
    lines = str(tree).splitlines()
    assert lines[0] == f"{families.root.name}[{task.id}] SUCCESS"
    assert lines[1].startswith(f"├─ {families.branch.name}[") and lines[-1].startswith("└→ ")
    assert str(task.tree(limit=5)).splitlines()[-1] == "…"
