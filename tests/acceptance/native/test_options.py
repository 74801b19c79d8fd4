"""Options of Celery's on `@task`, and what else one does with tasks of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError, TimeLimitExceeded
from celery.exceptions import TimeoutError as WaitedTooLong

from cq_compat.models import Task
from tests.acceptance.native.conftest import on_postgresql
from tests.acceptance.native.stage import lines_of
from tests.project import native, options
from tests.servers.project import Project
from tests.servers.waiting import wait_until

TIMEOUT = 30


def test_routes(app: Celery) -> None:
    assert options.is_routed.delay().wait(TIMEOUT) == native.QUEUE


def test_time_limits(app: Celery) -> None:
    warned, stopped = options.is_warned.delay(), options.is_stopped.delay()

    assert warned.wait(TIMEOUT) == "warned"
    with pytest.raises(TimeLimitExceeded):
        stopped.wait(TIMEOUT)


@on_postgresql  # elsewhere the worker may wait for the body's transaction, and not see its time
def test_a_time_limit_undoes_what_was_written(app: Celery, effects: Callable[[str], int]) -> None:
    task = options.is_undone.delay()

    with pytest.raises(TimeLimitExceeded):
        task.wait(TIMEOUT)
    assert effects(task.id) == 0


def test_a_time_to_live_of_results(app: Celery) -> None:
    tasks = options.is_soon_forgotten, options.is_kept, options.leave_record
    soon, kept, usual = (task.delay() for task in tasks)
    for task in (soon, kept, usual):
        task.wait(TIMEOUT)

    app.send_task("celery.backend_cleanup").get(timeout=TIMEOUT)

    left = Task.objects.filter(pk__in=[soon.pk, kept.pk, usual.pk])
    assert set(left) == {kept, usual}


def test_waiting_in_vain(app: Celery, gate: Path) -> None:
    task = native.report_of.delay("nobody", str(gate))

    with pytest.raises(WaitedTooLong):
        task.wait(0.1)
    gate.touch()
    assert task.wait(TIMEOUT) == "nobody"


def test_what_is_lacking_is_put_right(
    app: Celery, effects: Callable[[str], int], tmp_path: Path
) -> None:
    path = tmp_path / "needed"
    task = options.needs.delay(str(path))
    after = task.chain(native.send_email, force=True)
    with pytest.raises(FileNotFoundError):
        task.wait(TIMEOUT)
    after.wait(TIMEOUT)
    path.write_text("found")
    task.refresh_from_db()

    task.retry()

    wait_until(lambda: task.status == Task.STATUS_SUCCESS, TIMEOUT)
    task.refresh_from_db()
    assert (task.wait(TIMEOUT), task.run, effects(task.id)) == ("found", 1, 1)


def test_revoked_before_it_begins(app: Celery, project: Project) -> None:
    task = options.leave_record.apply_async(countdown=60)
    after = task.chain(native.calc_a)

    task.revoke("not needed")

    for one in (task, after):
        with pytest.raises(TaskRevokedError, match="not needed"):
            one.wait(TIMEOUT)
    assert task.id not in project.records()


def test_subtasks_of_each_kind(app: Celery) -> None:
    task = options.begins_each_kind.delay()
    ids = task.wait(TIMEOUT)

    rows = Task.objects.in_bulk(ids.values())
    assert {kind: rows[one].result for kind, one in ids.items()} == {
        "one": ["celery", ["one"], {}],
        "all": ["mail", [1, 2], {"three": 3}],
        "celery": 3,
        "signature": 7,
        "more": ["celery", [6, 5], {"seven": 7}],
        "next": ["mail", [10, 2], {"three": 3}],
    }
    assert rows[ids["signature"]].queue == native.QUEUE
    assert {one.parent_id for one in rows.values()} == {task.id}
    assert task.subtasks.count() == len(ids) + 1


def test_the_process_of_the_last_subtask_dies_right_after_its_end(
    app: Celery, effects: Callable[[str], int]
) -> None:
    task = options.has_dying.delay()
    after = task.chain(native.send_email)

    last = task.wait(TIMEOUT)
    assert after.wait(TIMEOUT) == "OK"
    assert (Task.objects.get(pk=last).result, effects(last)) == (last, 1)


def test_a_handler_of_pythons_logging(app: Celery, kills: Callable[[], int]) -> None:
    task = options.uses_plain_loggers.delay()
    task.wait(TIMEOUT)

    wait_until(lambda: lines_of(task, kills()), TIMEOUT)
    (line,) = lines_of(task, kills())
    assert (line.message, line.logger) == ("from a plain logger", options.LOGGER)
