"""A function of `@task` that is called runs here, with all that its body begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, current_app, group, shared_task

from cq_compat import current_task, task
from cq_compat.native.serial import SerialTask
from cq_compat.native.signatures import signature_of

pytestmark = pytest.mark.unit


@task
def add(task: Any, *numbers: int) -> int:
    return sum(numbers)


@shared_task
def multiply(x: int, y: int) -> int:
    return x * y


@task
def fail(task: Any, *args: Any) -> None:
    raise ValueError("on purpose")


@task
def parent(task: Any, *targets: tuple[Any, Any]) -> list[Any]:
    return [task.subtask(target, args).result for target, args in targets]


@task(subtasks_may_fail=True)
def lenient(task: Any) -> list[str]:
    return [task.subtask(fail).status, task.subtask(add, 1).status]


@task
def calculate(task: Any) -> Any:
    return add.delay(3).chain(add, (4,))


@task
def total(task: Any, before: int | None, number: int) -> int:
    return (before or 0) + number


@task
def chain_to_failure(task: Any, force: bool) -> Any:
    return fail.delay().chain(total, (4,), force=force)


@task
def nested(task: Any) -> tuple[Any, ...]:
    before = current_task()
    inner = add(1, 2)
    return before is task, current_task() is task, inner, isinstance(task, SerialTask)


@task
def canvas(task: Any) -> Any:
    parts = task.subtask(group(add.s(1), multiply.s(2, 3)))
    return [part.result for part in parts], task.subtask(chain(add.s(2), add.s(5))).result


@task
def grandparent(task: Any) -> list[Any]:
    child = task.subtask(middle)
    return [one.name for one in task.subtasks] + list(child.result)


@task
def middle(task: Any) -> list[Any]:
    return [task.parent.name, task.subtask(add, 1).parent is task]


@task
def ties_to_itself(task: Any, fails: bool, seen: list[Any]) -> int:
    task.chain(note, (seen, "success"))
    task.chain(note, (seen, "end"), force=True)
    task.errback(note, (seen, "failure"))
    seen.append(task)
    if fails:
        raise ValueError("on purpose")
    return 1


@task
def note(task: Any, given: Any, seen: list[Any], what: str) -> None:
    seen.append((what, given))


@task
def chains_subtask(task: Any) -> str:
    first = task.subtask(add, 1)
    return first.chain(add, (2,)).chain(fail).error


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """An app without a broker that could be reached."""
    before = current_app._get_current_object()
    with Celery("serial", broker="redis://localhost:1/", set_as_current=False) as app:
        app.set_current()
        yield app
    before.set_current()


def test_a_plain_result() -> None:
    assert add(1, 2) == 3
    assert current_task() is None


def test_an_error_is_raised() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        fail()


def test_subtasks_run_before_the_end() -> None:
    assert parent((add, (1, 2)), (add, 5), (multiply, (3, 4)), (add.s(1), 2)) == [3, 5, 12, 3]


def test_a_failed_subtask_fails_its_parent() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        parent((fail, ()), (add, 1))
    assert lenient() == [SerialTask.STATUS_FAILURE, SerialTask.STATUS_SUCCESS]


def test_the_end_of_a_chain_is_the_result() -> None:
    assert calculate() == 7


def test_a_chain_after_a_failure() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        chain_to_failure(False)
    assert chain_to_failure(True) == 4


def test_families() -> None:
    assert grandparent() == [middle.name, grandparent.name, True]


@pytest.mark.parametrize(
    ("fails", "noted"),
    [(False, [("success", 1), ("end", 1)]), (True, [("end", None), ("failure", "on purpose")])],
    ids=["success", "failure"],
)
def test_what_is_tied_to_the_running_task(fails: bool, noted: list[Any]) -> None:
    seen: list[Any] = []
    try:
        ties_to_itself(fails, seen)
    except ValueError:
        assert fails

    running, *others = seen
    assert others == noted
    assert [one.task.previous_id for one in running.tree().branches] == [running.id] * (
        3 if fails else 2
    )


def test_the_next_task_of_a_subtask_is_one() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        chains_subtask()


def test_the_running_task_is_the_innermost() -> None:
    assert nested() == (True, True, 3, True)


def test_canvases_as_subtasks() -> None:
    assert canvas() == ([1, 6], 7)


def test_in_an_eager_project(app: Celery, django_db_blocker: Any) -> None:
    app.conf.task_always_eager = True

    with django_db_blocker.unblock():
        done, failed = add.delay(1, 2), fail.delay()
        chained = done.chain(add, 4)

    assert (done.wait(), done.result, done.status) == (3, 3, SerialTask.STATUS_COMPLETE)
    assert (failed.status, failed.error, failed.result) == ("FAILURE", "on purpose", None)
    assert "ValueError: on purpose" in (failed.traceback or "")
    with pytest.raises(ValueError, match="on purpose"):
        asyncio.run(failed.aresult())
    assert chained.wait() == 7


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(TypeError, match="put @task or @shared_task in front"):
        signature_of(len)


def test_arguments_are_checked_when_a_task_is_published() -> None:
    @task
    def strict(task: Any, one: int) -> None: ...

    with pytest.raises(TypeError, match="missing"):
        strict.delay()
