"""Bodies in transactions of another database than that of the rows: what follows, follows later."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from celery import Celery, current_app

from cq_compat.models import Task
from tests.acceptance.effects import count, make_constraint, make_table
from tests.acceptance.native.conftest import OPTIONS
from tests.project import native
from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer

#: The aliases of the rows and of the bodies' effects; the latter are in the worker's "default".
ROWS, EFFECTS = "rows", "effects"
TIMEOUT = 30


@pytest.fixture(scope="module")
def app(
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    django_db_blocker: Any,
) -> Iterator[Celery]:
    rows, effects = (postgres_server.django(postgres_server.create_database()) for _ in range(2))
    project = Project.on_redis(
        tmp_path_factory.mktemp("elsewhere"),
        redis_server,
        config={"prefix": "elsewhere"},  # a worker of the folder's may be there still
        DATABASES={"default": effects, ROWS: rows},
        CQ={"DATABASE": ROWS},
        CELERY_RESULT_BACKEND="cq",
    )
    project.python("-m", "django", "migrate", "cq", "--database", ROWS, "--verbosity=0")
    current = current_app._get_current_object()
    with (
        django_db_blocker.unblock(),
        declared(**{ROWS: rows, EFFECTS: effects}),
        project.client() as app,
        project.worker("-c", "2", *OPTIONS),
    ):
        app.set_current()
        make_table(EFFECTS)
        make_constraint(EFFECTS)
        yield app
        current.set_current()


@pytest.fixture
def effects(app: Celery) -> Callable[[str], int]:
    """Count what the body of a task has written."""
    return partial(count, EFFECTS)


def test_an_end(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.has_effect.apply_async(link=native.send_email.s())

    assert task.wait(TIMEOUT) == task.id
    assert effects(task.id) == 1
    (callback,) = task.async_result.children
    assert callback.get(timeout=TIMEOUT) == "OK"


def test_a_failure(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.fails.delay()

    task.wait(TIMEOUT, propagate=False)

    assert (task.status, effects(task.id)) == (Task.STATUS_FAILURE, 0)


def test_a_retry(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.asks_for_retry.delay()

    assert (task.wait(TIMEOUT), effects(task.id)) == (2, 1)


@pytest.mark.parametrize("way", native.REPLACEMENTS)
def test_a_replacement(app: Celery, effects: Callable[[str], int], way: str) -> None:
    task = native.replaces_itself.delay(way)

    assert (task.wait(TIMEOUT), effects(task.id)) == (native.REPLACEMENTS[way][1], 1)


def test_a_commit_that_fails(app: Celery, effects: Callable[[str], int]) -> None:
    task = native.is_replaced_by_second_commit.delay()

    assert (task.wait(TIMEOUT), effects(task.id)) == (30, 1)
    assert Task.objects.filter(parent_id=task.id).count() == 1
