"""What `@task` makes of a function, its options, and what a `Task` tells."""

import asyncio
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from celery import Celery, chain, chord, group, states
from celery.exceptions import TaskRevokedError
from django.db import connections, transaction

from cq_compat import current_task
from cq_compat.models import Task
from tests.acceptance.native.conftest import ALIAS, on_postgresql
from tests.project import native
from tests.project.tasks import add, echo, total
from tests.servers.project import Project
from tests.servers.waiting import wait_until

TIMEOUT = 30


def test_the_readme(app: Celery) -> None:
    task = native.send_email.delay("dummy@dummy.org")
    task.wait(TIMEOUT)

    assert (task.result, task.status, task.error) == ("OK", Task.STATUS_COMPLETE, None)
    assert native.send_email("dummy@dummy.org") == "OK"


def test_a_task_that_fails(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.fails.delay()

    with pytest.raises(ValueError, match="on purpose"):
        task.wait(TIMEOUT)
    assert isinstance(task.wait(TIMEOUT, propagate=False), ValueError)
    assert (task.status, task.result, task.error) == (Task.STATUS_FAILURE, None, "on purpose")
    assert task.status in Task.STATUS_ERROR
    assert "ValueError: on purpose" in (task.traceback or "")
    assert effects(task.id) == 0


def test_without_a_transaction(
    app: Celery, effects: Callable[[str], int], kills: Callable[[], int]
) -> None:
    task = native.fails_with_effect.delay()

    task.wait(TIMEOUT, propagate=False)

    assert task.status == Task.STATUS_FAILURE
    assert 1 <= effects(task.id) <= 1 + kills()


def test_a_body_that_fails_has_published_nothing(app: Celery, tmp_path: Path) -> None:
    record = tmp_path / "published"
    native.publishes_and_fails.delay(str(record)).wait(TIMEOUT, propagate=False)

    assert not Task.objects.filter(pk=record.read_text()).exists()


def test_the_status_is_live(app: Celery, project: Project, gate: Path) -> None:
    task = native.has_effect.delay(str(gate))
    project.wait_recorded([task.id], "start")
    assert (task.status, task.result) == (Task.STATUS_RUNNING, None)
    assert task.status in Task.STATUS_ACTIVE

    gate.touch()

    wait_until(lambda: task.status == Task.STATUS_SUCCESS, TIMEOUT)
    assert task.result == task.id


def test_effect_and_end_are_one_transaction(
    app: Celery, database: dict[str, Any], effects: Callable[[str], int]
) -> None:
    task = native.has_effect.delay()
    task.wait(TIMEOUT)

    assert effects(task.id) == 1
    if "postgresql" in database["ENGINE"]:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(
                "SELECT e.xmin = t.xmin FROM effect e JOIN cq_task t ON t.id = task_id "
                "WHERE t.id = %s",
                [task.id],
            )
            assert cursor.fetchall() == [(True,)]


def test_a_process_that_dies_right_after_the_commit(
    app: Celery, effects: Callable[[str], int], kills: Callable[[], int]
) -> None:
    task = native.dies_after_commit.apply_async(link=native.send_email.s())

    assert task.wait(TIMEOUT) == task.id
    (callback,) = task.async_result.children
    assert callback.get(timeout=TIMEOUT) == "OK"
    assert effects(task.id) == 1
    task.refresh_from_db()
    assert task.run == 0
    assert task.deaths <= kills()  # that of its own process is none: the task had ended


@on_postgresql
def test_a_body_that_has_lost_its_task_has_no_effect(
    app: Celery, project: Project, effects: Callable[[str], int], gate: Path
) -> None:
    callback = native.calc_a.s()
    task = native.has_effect.apply_async((str(gate),), link=callback)
    project.wait_recorded([task.id], "start")
    task.revoke()

    gate.touch()

    after = native.send_email.apply_async(("after",), queue="celery")
    after.wait(TIMEOUT)
    with pytest.raises(TaskRevokedError):
        task.wait(TIMEOUT)
    assert effects(task.id) == 0
    assert not Task.objects.filter(parent_id=task.id).exists()


@pytest.mark.parametrize(
    ("times", "error", "attempts", "status"),
    [
        (1, "ValueError", 2, Task.STATUS_SUCCESS),
        (9, "ValueError", 3, Task.STATUS_FAILURE),
        (9, "KeyError", 1, Task.STATUS_FAILURE),
    ],
    ids=["it gets better", "it does not", "another error"],
)
def test_retries(
    app: Celery,
    project: Project,
    effects: Callable[[str], int],
    kills: Callable[[], int],
    times: int,
    error: str,
    attempts: int,
    status: str,
) -> None:
    task = native.fails_at_first.delay(times, error)

    task.wait(TIMEOUT, propagate=False)

    assert task.status == status, task.traceback
    begun = project.records()[task.id]
    assert len(begun) <= attempts + kills()
    assert [one for one, _ in groupby(begun)] == [f"attempt-{number}" for number in range(attempts)]
    assert effects(task.id) == (1 if status == Task.STATUS_SUCCESS else 0)


def test_a_commit_that_fails(app: Celery, effects: Callable[[str], int]) -> None:
    result = chain(native.fails_at_commit.si(), native.calc_a.si(1)).delay()

    assert result.get(timeout=TIMEOUT) == 10
    assert effects(result.parent.id) == 1
    assert Task.objects.get(pk=result.parent.id).run == 1


def test_a_commit_that_fails_undoes_a_replacement(
    app: Celery, effects: Callable[[str], int]
) -> None:
    task = native.is_replaced_by_second_commit.delay()

    assert task.wait(TIMEOUT) == 30
    assert effects(task.id) == 1
    assert Task.objects.filter(parent_id=task.id).count() == 1


def test_celerys_own_retry(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.asks_for_retry.delay()

    assert task.wait(TIMEOUT) == 2
    assert effects(task.id) == 1


@pytest.mark.parametrize("way", native.REPLACEMENTS)
def test_a_replacement(app: Celery, effects: Callable[[str], int], way: str) -> None:
    task = native.replaces_itself.delay(way)

    assert task.wait(TIMEOUT) == native.REPLACEMENTS[way][1]
    assert effects(task.id) == 1


@pytest.mark.parametrize("way", native.REPLACEMENTS)
def test_a_process_that_dies_right_after_its_replacement(
    app: Celery, effects: Callable[[str], int], way: str
) -> None:
    value = native.REPLACEMENTS[way][1]
    in_chain = chain(native.dies_when_replaced.s(way), echo.s()).delay()
    in_chord = chord([native.dies_when_replaced.s(way), native.calc_a.s(1)], echo.s()).delay()

    assert in_chain.get(timeout=TIMEOUT) == value
    assert in_chord.get(timeout=TIMEOUT) == [value, 10]
    assert [effects(one.id) for one in (in_chain.parent, in_chord.parent.results[0])] == [1, 1]


@pytest.mark.parametrize("way", native.REPLACEMENTS)
@on_postgresql
def test_a_body_that_has_lost_its_task_is_not_replaced(
    app: Celery, project: Project, effects: Callable[[str], int], gate: Path, way: str
) -> None:
    task = native.is_replaced.delay(way, str(gate))
    project.wait_recorded([task.id], "start")
    task.revoke()

    gate.touch()

    wait_until(lambda: task.id not in active(app), TIMEOUT)
    assert task.status == Task.STATUS_REVOKED
    assert effects(task.id) == 0
    assert not Task.objects.filter(parent_id=task.id).exists()


def active(app: Celery) -> set[str]:
    """Return the ids of the tasks whose bodies run."""
    (found,) = app.control.inspect(timeout=TIMEOUT, limit=1).active().values()
    return {one["id"] for one in found}


def test_a_body_that_undoes_its_transaction_is_replaced(
    app: Celery, effects: Callable[[str], int]
) -> None:
    task = native.undoes_all_and_is_replaced.delay()

    assert task.wait(TIMEOUT) == 30
    assert effects(task.id) == 0


def test_a_queue(app: Celery) -> None:
    assert native.is_mail.delay().wait(TIMEOUT) == native.QUEUE
    assert native.is_mail.apply_async(queue="celery").wait(TIMEOUT) == "celery"


def test_a_time_to_live(app: Celery, project: Project) -> None:
    task = native.comes_too_late.apply_async(countdown=1)

    with pytest.raises(TaskRevokedError, match="expired"):
        task.wait(TIMEOUT)
    assert task.status == Task.STATUS_REVOKED
    assert task.id not in project.records()


def test_coalescing(app: Celery, gate: Path) -> None:
    first = native.report.delay(str(gate))
    assert native.report.delay(str(gate)) == first
    assert native.report.name == first.name == "tests.report"
    gate.touch()
    first.wait(TIMEOUT)

    second = native.report.delay(str(gate))

    assert second != first and second.wait(TIMEOUT) == second.id


def test_coalescing_by_an_argument(app: Celery, gate: Path) -> None:
    ann, bob = (native.report_of.delay(user, str(gate)) for user in ("ann", "bob"))
    assert ann != bob
    assert native.report_of.delay("ann", str(gate)) == ann

    gate.touch()

    assert (ann.wait(TIMEOUT), bob.wait(TIMEOUT)) == ("ann", "bob")


def test_asynchronous_callers(app: Celery) -> None:
    async def main() -> tuple[Any, Any, Any]:
        task = await native.calc_a.adelay(3)
        failing = await native.fails.adelay()
        error = await failing.aresult(TIMEOUT, propagate=False)
        await sync_to_async(connections.close_all)()
        await sync_to_async(connections.__delitem__)(ALIAS)  # that thread is kept
        return await task.aresult(TIMEOUT), error, task

    value, error, task = asyncio.run(main())
    assert (value, repr(error)) == (30, "ValueError('on purpose')")
    assert isinstance(task, Task)


def test_publishing_on_commit(app: Celery) -> None:
    with transaction.atomic():
        task = native.calc_a.delay_on_commit(3)
        coalesced = native.report.delay_on_commit("")
        assert not Task.objects.filter(pk=task.id).exists()

    assert task.wait(TIMEOUT) == 30
    assert coalesced.wait(TIMEOUT) == coalesced.id


def test_in_a_canvas(app: Celery) -> None:
    one, two = native.calc_a.s(1), native.calc_a.s(2)

    assert chain(one, add.s(5), native.calc_a.s()).delay().get(timeout=TIMEOUT) == 150
    assert group(one, two, add.s(1, 2)).delay().get(timeout=TIMEOUT) == [10, 20, 3]
    assert chord([one, two], total.s()).delay().get(timeout=TIMEOUT) == 30
    assert chord([one, add.s(1, 2)], native.send_email.s()).delay().get(timeout=TIMEOUT) == "OK"
    assert native.calc_a.map([1, 2]).delay().get(timeout=TIMEOUT) == [10, 20]
    assert one.delay().wait(TIMEOUT) == 10


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_part_is_added_to_a_chord(app: Celery, is_replaced: bool) -> None:
    adding = native.adds_to_its_chord.s(is_replaced=is_replaced)
    result = chord([adding, native.calc_a.s(1)], echo.s()).delay()

    assert result.get(timeout=TIMEOUT) == [20, 10, 50]


def test_a_chain_with_a_part_that_fails(app: Celery) -> None:
    result = chain(native.fails.si("part"), native.calc_a.s()).delay()

    with pytest.raises(ValueError, match="part"):
        result.get(timeout=TIMEOUT)


def test_callbacks_and_their_children(app: Celery) -> None:
    task = native.calc_a.apply_async((1,), link=[native.calc_a.s(), add.s(1)])

    assert task.wait(TIMEOUT) == 10
    children = task.async_result.children
    assert sorted(child.get(timeout=TIMEOUT) for child in children) == [11, 100]
    rows = Task.objects.filter(parent_id=task.id)
    assert set(rows.values_list("pk", flat=True)) == {child.id for child in children}


def test_native_and_shared_tasks_publish_each_other(app: Celery) -> None:
    shared = native.publishes_shared.delay().wait(TIMEOUT)
    by_shared = native.publishes_native.delay()
    published, running = by_shared.get(timeout=TIMEOUT)

    assert app.AsyncResult(shared).get(timeout=TIMEOUT) == 3
    assert app.AsyncResult(published).get(timeout=TIMEOUT) == 30
    assert running == by_shared.id
    assert current_task() is None


def test_a_body_calls_another_task(app: Celery) -> None:
    assert native.calls_another.delay().wait(TIMEOUT) == [40, True]


def test_workers_know_the_tasks(app: Celery) -> None:
    # Neither the question nor the answer is kept: ask until a worker hears and is heard.
    registered = wait_until(app.control.inspect(timeout=1, limit=1).registered, TIMEOUT)

    (names,) = registered.values()
    assert {native.calc_a.name, "tests.report"} <= {name.split(" ")[0] for name in names}
    assert native.calc_a.apply((2,)).state == states.SUCCESS
