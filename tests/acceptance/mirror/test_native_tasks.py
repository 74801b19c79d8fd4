"""Tasks of `@task` on Celery's own broker, with its own results and rows beside it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from celery import chain, current_app
from celery.exceptions import TimeoutError

from cq_compat.models import Task
from tests.acceptance.effects import count, make_table
from tests.acceptance.mirror.stage import ALIAS, DEADLINE, Stage, staged
from tests.project import native
from tests.project.tasks import add
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
) -> Iterator[Stage]:
    redis_server.flush()
    directory, current = tmp_path_factory.mktemp("native"), current_app._get_current_object()
    with staged(directory, postgres_server, redis_server) as stage:
        stage.app.set_current()
        make_table(ALIAS)
        with stage.project.worker("-c", "2", "-I", "tests.project.native", "-Q", "celery,mail"):
            yield stage
    current.set_current()


@pytest.fixture
def effects(stage: Stage) -> Callable[[str], int]:
    """Count what the body of a task has written."""
    return partial(count, ALIAS)


def test_a_task(stage: Stage, effects: Callable[[str], int]) -> None:
    task = native.has_effect.delay()

    assert task.wait(DEADLINE) == task.id
    stage.wait(task.id, Task.STATUS_SUCCESS)
    assert (task.status, task.result, effects(task.id)) == (Task.STATUS_SUCCESS, task.id, 1)


def test_a_task_that_fails(stage: Stage, effects: Callable[[str], int]) -> None:
    task = native.fails.delay()

    with pytest.raises(ValueError, match="on purpose"):
        task.wait(DEADLINE)
    stage.wait(task.id, Task.STATUS_FAILURE)
    assert (task.error, effects(task.id)) == ("on purpose", 0)


def test_retries_and_replacements(stage: Stage, effects: Callable[[str], int]) -> None:
    again, asked = native.fails_at_first.delay(1), native.asks_for_retry.delay()
    replaced = native.replaces_itself.delay()

    assert (again.wait(DEADLINE), asked.wait(DEADLINE), replaced.wait(DEADLINE)) == (2, 2, 30)
    assert [effects(task.id) for task in (again, asked, replaced)] == [1, 1, 1]


def test_a_chain_and_a_queue(stage: Stage) -> None:
    result = chain(native.calc_a.s(1), add.s(5), native.calc_a.s()).delay()

    assert result.get(timeout=DEADLINE) == 150
    assert native.is_mail.delay().wait(DEADLINE) == native.QUEUE


def test_coalescing_with_a_task_that_has_a_row(stage: Stage, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = native.report.delay(str(gate))
    stage.wait(first.id, Task.STATUS_RUNNING)

    assert native.report.delay(str(gate)) == first
    with pytest.raises(TimeoutError):
        first.wait(0.01)
    gate.touch()
    assert first.wait(DEADLINE) == first.id
