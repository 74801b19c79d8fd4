"""What tasks say is seen while their bodies run, is whole when they end, and costs them nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from cq_compat import states
from tests.acceptance.native.stage import TIMEOUT, Stage
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until


@pytest.fixture
def stage(app: Celery, database: dict[str, Any], kills: Callable[[], int]) -> Stage:
    return Stage(app, is_sqlite="sqlite" in database["ENGINE"], kills=kills)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def test_it_is_seen_while_the_body_runs_and_whole_at_its_end(stage: Stage, gate: Path) -> None:
    # A body in a transaction on SQLite, which has one writer, is seen when it has ended.
    task_id = stage.send("tell_freely" if stage.is_sqlite else "tell", str(gate))
    stage.wait_said(task_id, "begun")
    wait_until(
        lambda: (
            (row := stage.row(task_id)).state == states.STARTED
            and (row.progress.percent, str(row.progress)) == (25, "1 of 4: reading")
        ),
        TIMEOUT,
        lambda: f"its progress: {stage.row(task_id).progress}",
    )

    gate.touch()
    assert stage.app.AsyncResult(task_id).get(timeout=TIMEOUT) == "told"

    assert stage.said(task_id) == ["begun", "done"]
    assert str(stage.row(task_id).progress) == "4 of 4"
    assert [line.level_name for line in stage.lines(task_id)] == ["INFO", "WARNING"]


def test_a_body_in_a_transaction_says_all_in_the_end(stage: Stage, gate: Path) -> None:
    gate.touch()
    task = stage.run("tell", str(gate))

    stage.wait_said(task.pk, "begun", "done")
    wait_until(lambda: task.progress.percent == 100, TIMEOUT)


def test_what_was_said_outlives_the_failure_of_the_body(stage: Stage) -> None:
    task = stage.run("tell_and_fail")

    assert task.state == states.FAILURE
    stage.wait_said(task.pk, "written")
    wait_until(lambda: task.progress.percent == 50, TIMEOUT)


def test_loggers_of_tasks_are_kept_with_the_task_that_runs(stage: Stage) -> None:
    task = stage.run("use_loggers")

    plain, direct, caught = stage.lines(task.pk)
    assert [str(plain), str(direct)] == ["from a logger", "from the task"]
    assert (plain.logger, direct.logger) == ("tests.project.telling", task.name)
    assert caught.message.startswith("with a traceback\nTraceback")
    assert caught.message.endswith("KeyError: 'caught'")


def test_an_iterator_says_how_far_it_is(stage: Stage) -> None:
    task = stage.run("track", 10_000)

    assert str(task.progress) == "10000 of 10000: adding"


def test_a_state_of_celerys_is_progress_too(stage: Stage, gate: Path) -> None:
    task_id = stage.send("use_states", str(gate))
    wait_until(lambda: stage.row(task_id).state == "PROGRESS", TIMEOUT)
    wait_until(lambda: stage.row(task_id).progress.percent == 25, TIMEOUT)
    assert stage.app.AsyncResult(task_id).info == {"current": 1, "total": 4, "status": "adding"}

    gate.touch()
    stage.app.AsyncResult(task_id).get(timeout=TIMEOUT)
    assert str(stage.row(task_id).progress) == "1 of 4: adding"


def test_the_last_of_too_many_lines_are_kept(stage: Stage) -> None:
    task = stage.run("flood", 100_000)

    assert stage.said(task.pk) == [str(number) for number in range(99_000, 100_000)]
    assert stage.lines(task.pk)[0].number == 99_001


def test_lines_are_held_back_within_a_limit(stage: Stage) -> None:
    task = stage.run("limit")

    assert stage.said(task.pk) == [*(str(number) for number in range(90, 100)), "done"]


def test_all_that_is_said_below_is_seen_from_the_top(stage: Stage) -> None:
    task_id = stage.send("call_others", ["left", "right"])
    below = stage.app.AsyncResult(task_id).get(timeout=TIMEOUT)
    for child in below:
        stage.app.AsyncResult(child).get(timeout=TIMEOUT)

    assert sorted(stage.said(task_id)) == ["above", "left", "right"]
    assert [stage.said(child) for child in below] == [["left"], ["right"]]


def test_it_survives_the_loss_of_redis(stage: Stage, gate: Path, redis_server: RedisServer) -> None:
    task_id = stage.send("tell_freely", str(gate))
    stage.wait_said(task_id, "begun")
    redis_server.flush()
    gate.touch()

    stage.app.AsyncResult(task_id).get(timeout=TIMEOUT)
    redis_server.flush()
    assert stage.said(task_id) == ["begun", "done"]
