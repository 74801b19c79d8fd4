"""Tasks end in their rows as Celery says that they end."""

from typing import Any

import celery
import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import Celery, Signature, chain, chord, states
from celery.exceptions import (
    ChordError,
    MaxRetriesExceededError,
    Reject,
    TaskRevokedError,
)

from cq_compat.models import Task
from tests.acceptance.rows.conftest import ALIAS
from tests.project import outcomes, tasks
from tests.servers.project import Project
from tests.servers.waiting import wait_until

TIMEOUT = 30


def row(task_id: str) -> Task:
    return Task.objects.using(ALIAS).get(pk=task_id)


def call(app: Celery, task: Any, *args: Any, **options: Any) -> Any:
    return app.send_task(task.name, args, **options)


def s(app: Celery, task: Any, *args: Any, **options: Any) -> Signature:
    return app.signature(task.name, args, **options)


def test_a_result_of_another_task_is_a_value(app: Celery) -> None:
    (another, _parent), _children = call(app, outcomes.result_of_another).get(timeout=TIMEOUT)

    assert app.AsyncResult(another).get(timeout=TIMEOUT) == 3


def test_a_value(app: Celery) -> None:
    result = call(app, tasks.add, 1, 2)

    assert result.get(timeout=TIMEOUT) == 3
    found = row(result.id)
    assert (found.state, found.owner_id, found.run) == (states.SUCCESS, None, 0)
    times = [found.created_at, found.received_at, found.started_at, found.finished_at]
    assert times == sorted(times)


def test_children(app: Celery) -> None:
    result = call(app, outcomes.family)

    ids = result.get(timeout=TIMEOUT)
    assert [child.id for child in result.children] == ids
    assert [child.get(timeout=TIMEOUT) for child in result.children] == [1, 2]
    assert [value for _, value in result.collect(timeout=TIMEOUT)] == [ids, 1, 2]
    assert {row(child).parent_id for child in ids} == {result.id}


def test_an_error_and_its_callback(app: Celery, project: Project) -> None:
    failing = s(app, tasks.fail, "broken").on_error(s(app, outcomes.note_failure))
    result = failing.apply_async()

    with pytest.raises(ValueError, match="broken"):
        result.get(timeout=TIMEOUT)
    assert "ValueError: broken" in result.traceback
    assert result.id in project.wait_recorded([result.id], states.FAILURE)


def test_an_error_ends_its_chain(app: Celery) -> None:
    result = chain(s(app, tasks.fail, "first"), s(app, tasks.noop), s(app, tasks.noop)).delay()

    with pytest.raises(ValueError, match="first"):
        result.get(timeout=TIMEOUT)
    wait_until(lambda: row(result.id).state == states.FAILURE)


@pytest.mark.parametrize(
    ("task", "value"),
    [
        (outcomes.replace_by_chain, 6),
        (outcomes.replace_by_chord, 3),
        (outcomes.replace_by_group, [0, 1, 2]),
    ],
    ids=["chain", "chord", "group"],
)
def test_a_replacement_gives_the_outcome(app: Celery, task: Any, value: Any) -> None:
    result = call(app, task)

    assert result.get(timeout=TIMEOUT) == value
    assert row(result.id).run > 0


def test_a_replacement_fails_in_its_place(app: Celery) -> None:
    with pytest.raises(ValueError, match="replaced"):
        call(app, outcomes.replace_by_failure).get(timeout=TIMEOUT)


def test_a_chord(app: Celery) -> None:
    parts = [s(app, tasks.add, number, 0) for number in range(10)]

    assert chord(parts, s(app, tasks.total)).delay().get(timeout=TIMEOUT) == 45
    inner = chord(parts[:3], s(app, tasks.total))
    nested = chord([inner, chain(parts[1], s(app, tasks.add, 1))], s(app, tasks.echo))
    assert nested.delay().get(timeout=TIMEOUT) == [3, 2]


def test_a_chord_fails_with_its_part(app: Celery) -> None:
    parts = [s(app, tasks.fail, "part"), s(app, tasks.add, 1, 1)]
    result = chord(parts, s(app, tasks.total)).delay()

    with pytest.raises(ChordError, match=r"Dependency .* raised ValueError\('part'\)"):
        result.get(timeout=TIMEOUT, follow_parents=False)


@pytest.mark.parametrize(
    ("task", "args", "runs"),
    [(tasks.retry, (2,), 2), (outcomes.retry_by_itself, (2,), 2)],
    ids=["retry", "autoretry_for"],
)
def test_retries(app: Celery, task: Any, args: Any, runs: int) -> None:
    result = call(app, task, *args)

    wait_until(lambda: row(result.id).finished_at, TIMEOUT)
    found = row(result.id)
    assert (found.state, found.run, found.retries) == (states.SUCCESS, runs, runs)


def test_retries_come_to_an_end(app: Celery) -> None:
    result = call(app, outcomes.retry_by_itself, 3)

    with pytest.raises((ValueError, MaxRetriesExceededError)):
        result.get(timeout=TIMEOUT)
    assert row(result.id).run == 2


def test_a_state_of_its_own(app: Celery) -> None:
    result = call(app, outcomes.halt)

    wait_until(lambda: row(result.id).finished_at, TIMEOUT)
    assert (result.state, result.info) == ("HALTED", {"percent": 50})


def test_no_outcome(app: Celery) -> None:
    result = call(app, outcomes.ignore)

    wait_until(lambda: row(result.id).finished_at, TIMEOUT)
    assert (result.state, result.ready()) == (states.IGNORED, False)

    app.backend.store_result(result.id, 3, states.SUCCESS)  # by whoever knows it
    assert result.get(timeout=TIMEOUT) == 3


def test_a_refused_message(app: Celery) -> None:
    result = call(app, outcomes.reject)
    wait_until(lambda: row(result.id).finished_at, TIMEOUT)
    if celery.VERSION < (5, 7):  # which made no failure of it
        assert (row(result.id).state, result.ready()) == (states.REJECTED, False)
    else:
        with pytest.raises(Reject):
            result.get(timeout=TIMEOUT)


def test_time_limits(app: Celery, project: Project) -> None:
    soft, hard = call(app, outcomes.clean_up), call(app, tasks.work, 60, time_limit=1)

    assert soft.get(timeout=TIMEOUT) == "cleaned up"
    with pytest.raises(TimeLimitExceeded):
        hard.get(timeout=TIMEOUT)


def test_a_revoked_body_is_terminated(app: Celery, project: Project) -> None:
    result = call(app, tasks.work, 60)
    project.wait_recorded([result.id], "start")

    result.revoke(terminate=True)

    with pytest.raises(TaskRevokedError, match="terminated"):
        result.get(timeout=TIMEOUT)
    assert row(result.id).state == states.REVOKED


def test_a_revoked_task_does_not_begin(app: Celery, project: Project) -> None:
    result = call(app, tasks.record, countdown=2)

    result.revoke()

    with pytest.raises(TaskRevokedError):
        result.get(timeout=TIMEOUT)
    assert result.id not in project.records()


def test_a_process_that_ends_fails_its_task(app: Celery) -> None:
    with pytest.raises(Exception, match="exited prematurely"):
        call(app, tasks.crash).get(timeout=TIMEOUT)


def test_a_task_that_comes_too_late(app: Celery, project: Project) -> None:
    result = call(app, tasks.record, expires=-1)

    with pytest.raises(TaskRevokedError, match="expired"):
        result.get(timeout=TIMEOUT)
    assert result.id not in project.records()
