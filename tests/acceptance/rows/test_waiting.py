"""Whoever waits for a result is woken, and looks by himself where no word comes."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import Celery
from celery.exceptions import TimeoutError
from celery.result import AsyncResult, GroupResult

from cq_compat import aget, waiting
from cq_compat.database import own_connection
from cq_compat.models import Task
from tests.acceptance.rows.conftest import ALIAS
from tests.project import tasks
from tests.servers.project import Project
from tests.servers.waiting import wait_until

TIMEOUT = 30
#: Seconds between two looks of somebody who can only be woken.
NEVER = 3600.0

GREENLETS = """
from gevent import joinall, monkey, spawn
monkey.patch_all()
import django
django.setup()
from cq_compat import waiting
from tests.project.tasks import sleep
waiting.NET = 3600.0
waits = [spawn(lambda: sleep.delay(0.3).get(timeout=30, interval=3600.0)) for _ in range(3)]
joinall(waits, raise_error=True)
print([each.value for each in waits])
"""


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look who can be woken."""
    monkeypatch.setattr(waiting, "NET", NEVER)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


class Held:
    """A task whose body waits for a gate to open."""

    def __init__(self, app: Celery, folder: Path) -> None:
        self.gate = folder / "gate"
        self.result: AsyncResult = app.send_task(tasks.hold.name, (str(self.gate),))

    def wait_watched(self) -> str:
        """Return who watches it, once somebody does."""
        look = "SELECT watcher FROM cq_task WHERE id = %s"
        return wait_until(lambda: own_connection().fetch(look, [self.result.id])[0][0])

    def open(self) -> None:
        self.gate.touch()


@pytest.fixture
def held(app: Celery, tmp_path: Path) -> Iterator[Held]:
    held = Held(app, tmp_path)
    yield held
    held.open()


def waits(pool: ThreadPoolExecutor, result: AsyncResult) -> "Future[Any]":
    return pool.submit(result.get, timeout=TIMEOUT, interval=NEVER)


def test_threads_are_woken(deaf: None, held: Held, pool: ThreadPoolExecutor) -> None:
    waiting_threads = [waits(pool, held.result) for _ in range(3)]
    held.wait_watched()

    held.open()

    assert len({each.result(TIMEOUT) for each in waiting_threads}) == 1


def test_the_end_of_a_killed_body_wakes(
    deaf: None, app: Celery, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    result = app.send_task(tasks.hold.name, (str(tmp_path / "never"),), time_limit=1)

    with pytest.raises(TimeLimitExceeded):
        waits(pool, result).result(TIMEOUT)


def test_whoever_is_not_told_looks(
    held: Held, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "NET", 0.05)
    waiting_thread = waits(pool, held.result)
    held.wait_watched()
    Task.objects.using(ALIAS).filter(pk=held.result.id).update(watcher="cq.waiting.nobody")

    held.open()

    assert waiting_thread.result(TIMEOUT) is not None


def test_a_quick_task_is_not_watched(app: Celery) -> None:
    done = app.send_task(tasks.add.name, (1, 2))
    wait_until(done.ready)

    assert done.get(timeout=TIMEOUT) == 3
    assert Task.objects.using(ALIAS).get(pk=done.id).watcher is None


def test_coroutines_are_woken(deaf: None, app: Celery, held: Held) -> None:
    async def main() -> list[int]:
        waiting_tasks = [asyncio.create_task(aget(held.result)) for _ in range(20)]
        await asyncio.to_thread(held.wait_watched)
        held.open()
        return await asyncio.wait_for(asyncio.gather(*waiting_tasks), TIMEOUT)

    assert len(set(asyncio.run(main()))) == 1


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda app: app.send_task(tasks.add.name, (1, 2)), 3),
        (lambda app: GroupResult("g", [_nested(app), _sum(app, 3)]), [[0, 2], 6]),
    ],
    ids=["task", "group"],
)
def test_aget_returns_what_get_returns(
    app: Celery, make: Callable[[Celery], Any], value: Any
) -> None:
    result = make(app)

    assert asyncio.run(aget(result, TIMEOUT)) == value
    assert result.get(timeout=TIMEOUT) == value


def test_aget_raises_what_get_raises(app: Celery, held: Held) -> None:
    failed = app.send_task(tasks.fail.name, ("broken",))

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(aget(failed, TIMEOUT))
    assert repr(asyncio.run(aget(failed, TIMEOUT, propagate=False))) == "ValueError('broken')"
    with pytest.raises(TimeoutError):
        asyncio.run(aget(held.result, 0.2))


def test_greenlets_are_woken(app: Celery, project: Project) -> None:
    assert project.python("-c", GREENLETS).stdout.strip() == "[0.3, 0.3, 0.3]"


def _sum(app: Celery, number: int) -> AsyncResult:
    return app.send_task(tasks.add.name, (number, number))


def _nested(app: Celery) -> GroupResult:
    return GroupResult("inner", [_sum(app, number) for number in range(2)], app=app)
