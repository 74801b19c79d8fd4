"""Tasks of every kind, in every pool."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from celery import Celery, chain, chord, group

from tests.acceptance.tasks import PACKAGE, TIMEOUT, call, send, task
from tests.servers.project import Project
from tests.servers.worker import CeleryWorker

pytestmark = pytest.mark.usefixtures("started_anew")

POOLS = {
    "prefork": ("--pool=prefork", "-c", "2"),
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads", "-c", "4"),
    "gevent": ("--pool=gevent", "-c", "8"),
    "eventlet": ("--pool=eventlet", "-c", "8"),
}


@pytest.fixture(scope="module", params=POOLS)
def worker(request: pytest.FixtureRequest, shared: Project) -> Iterator[CeleryWorker]:
    with shared.worker(*POOLS[request.param]) as worker:
        yield worker
        assert worker.terminate() == 0


@pytest.fixture(autouse=True)
def _running(worker: CeleryWorker) -> None:
    """Every case has the worker running."""


def test_results(app: Celery) -> None:
    results = [send(app, "add", number, 1) for number in range(50)]

    assert [result.get(timeout=TIMEOUT) for result in results] == list(range(1, 51))


def test_failure(app: Celery) -> None:
    result = send(app, "fail", "on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        result.get(timeout=TIMEOUT)
    assert result.state == "FAILURE"


def test_retries_with_countdown(app: Celery, shared: Project) -> None:
    result = send(app, "retry", 2, 0.1)

    assert result.get(timeout=TIMEOUT) == 3
    assert shared.records()[result.id] == ["attempt-0", "attempt-1", "attempt-2"]


def test_eta_is_not_run_before_its_time(app: Celery) -> None:
    eta = datetime.now(timezone.utc) + timedelta(seconds=1)
    result = send(app, "noop", eta=eta)

    result.get(timeout=TIMEOUT)
    assert result.date_done >= eta


def test_group(app: Celery) -> None:
    result = group([task(app, "add", n, n) for n in range(10)], app=app).delay()

    assert result.get(timeout=TIMEOUT) == [2 * n for n in range(10)]


def test_chain(app: Celery) -> None:
    result = chain(
        task(app, "add", 1, 2), task(app, "add", 3), task(app, "add", 4), app=app
    ).delay()

    assert result.get(timeout=TIMEOUT) == 10


def test_chord(app: Celery) -> None:
    result = chord([task(app, "add", n, 1) for n in range(10)], app=app)(task(app, "total"))

    assert result.get(timeout=TIMEOUT) == 55


def test_tasks_publish_tasks(app: Celery, shared: Project) -> None:
    ids = call(app, "spawn", 100, f"{PACKAGE}.note")

    assert shared.wait_recorded(ids, "run") == {task_id: ["run"] for task_id in ids}


def test_large_body(app: Celery) -> None:
    assert call(app, "length", "x" * 10_000_000) == 10_000_000


def test_late_acknowledgement(app: Celery, shared: Project) -> None:
    result = send(app, "work_late")

    result.get(timeout=TIMEOUT)
    assert shared.records()[result.id] == ["start", "end"]
