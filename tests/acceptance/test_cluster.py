"""Several workers on one layer: what they know of each other, and who gets which message."""

from collections.abc import Iterator

import pytest
from celery import Celery
from kombu.common import Broadcast

from tests.acceptance.tasks import TIMEOUT, send
from tests.servers.project import Project
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

APP = "tests.project.routed"
NAMES = ["left@test", "right@test"]


def start(shared: Project, name: str, *options: str) -> CeleryWorker:
    """Return a worker that tells of its neighbours in its log."""
    return shared.worker("--pool=solo", "-l", "DEBUG", *options, nodename=name, app=APP)


@pytest.fixture(scope="module")
def workers(shared: Project) -> Iterator[list[CeleryWorker]]:
    with start(shared, NAMES[0]) as left, start(shared, NAMES[1]) as right:
        yield [left, right]


@pytest.fixture(autouse=True)
def _running(workers: list[CeleryWorker]) -> None:
    """Every case has both workers running."""


def test_mingle(workers: list[CeleryWorker]) -> None:
    workers[0].wait_log("mingle: all alone")
    workers[1].wait_log("mingle: sync with 1 nodes")
    workers[1].wait_log("mingle: sync complete")


def test_gossip(shared: Project, workers: list[CeleryWorker]) -> None:
    workers[0].wait_log("right@test joined the party")
    with start(shared, "third@test") as third:
        third.wait_log("mingle: sync with 2 nodes")
        for worker in workers:
            worker.wait_log("third@test joined the party")
        third.terminate()
    for worker in workers:
        worker.wait_log("third@test left")


def test_a_new_worker_learns_what_is_revoked(shared: Project, app: Celery) -> None:
    app.control.revoke(["revoked-1"], reply=True, timeout=TIMEOUT, limit=2)
    with start(shared, "fourth@test") as worker:
        worker.wait_log("mingle: sync complete")
        found = app.control.inspect(destination=["fourth@test"], timeout=TIMEOUT).revoked()

    assert found == {"fourth@test": ["revoked-1"]}


def test_control_reaches_all(app: Celery) -> None:
    answers = app.control.ping(timeout=TIMEOUT, limit=2)

    assert sorted(name for answer in answers for name in answer) == NAMES


def test_control_reaches_the_one_that_is_named(app: Celery) -> None:
    for name in NAMES:
        assert app.control.ping(destination=[name], timeout=TIMEOUT) == [{name: {"ok": "pong"}}]


def test_control_reaches_those_of_a_pattern(app: Celery) -> None:
    answers = app.control.broadcast(
        "ping", pattern="l*@test", matcher="glob", reply=True, timeout=TIMEOUT, limit=1
    )

    assert answers == [{"left@test": {"ok": "pong"}}]


def test_broadcast_queue(shared: Project, app: Celery) -> None:
    ids = [send(app, "where", queue=Broadcast("everyone")).id for _ in range(20)]
    wait_until(
        lambda: all(len(shared.records().get(task_id, ())) == 2 for task_id in ids),
        TIMEOUT,
        "both workers to run every task",
    )

    assert [sorted(shared.records()[task_id]) for task_id in ids] == [NAMES] * 20


@pytest.mark.parametrize(
    ("routing_key", "queues"),
    [
        ("asia.sport", {"sport"}),
        ("europe", {"europe"}),
        ("europe.north.weather", {"europe"}),
        ("europe.sport", {"europe", "sport"}),
        ("asia.weather", set()),
    ],
)
def test_topic_routing(shared: Project, app: Celery, routing_key: str, queues: set[str]) -> None:
    task_id = send(app, "where", exchange="news", routing_key=routing_key).id
    barrier = send(app, "noop", exchange="news", routing_key="europe.sport")
    barrier.get(timeout=TIMEOUT)
    wait_until(lambda: len(shared.records().get(task_id, ())) >= len(queues), TIMEOUT, "the copies")

    assert len(shared.records().get(task_id, ())) == len(queues)


def test_tasks_are_shared(shared: Project, app: Celery) -> None:
    results = [send(app, "where") for _ in range(200)]
    for result in results:
        result.get(timeout=TIMEOUT)
    records = shared.records()

    assert all(len(records[result.id]) == 1 for result in results)
    assert {records[result.id][0] for result in results} == set(NAMES)
