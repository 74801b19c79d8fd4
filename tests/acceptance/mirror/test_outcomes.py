"""Tasks over Celery's own Redis broker: what the signals alone tell is in the rows."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from kombu import Producer

from tests.acceptance.mirror.stage import DEADLINE, Stage, staged
from tests.acceptance.tasks import PACKAGE, send
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

SUCCEEDED = re.compile(r"\[([-0-9a-f]{36})\] succeeded in")
POOLS = {
    "prefork": ("--pool=prefork", "-c", "2"),
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads", "-c", "4"),
    "gevent": ("--pool=gevent", "-c", "8"),
}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
) -> Iterator[Stage]:
    redis_server.flush()
    with staged(tmp_path_factory.mktemp("mirror"), postgres_server, redis_server) as stage:
        yield stage


@pytest.fixture(scope="module", params=POOLS)
def worker(request: pytest.FixtureRequest, stage: Stage) -> Iterator[CeleryWorker]:
    with stage.project.worker(*POOLS[request.param], "-I", "tests.project.telling") as worker:
        yield worker
        assert worker.terminate() == 0
        assert worker.nodename not in stage.workers()
        assert "is not observed" not in worker.log
        stage.app.control.purge()


@pytest.fixture(scope="module")
def processes(stage: Stage) -> Iterator[CeleryWorker]:
    """A worker with a pool of processes, for what only these can suffer."""
    with stage.project.worker("-c", "2", "-Q", "processes") as worker:
        yield worker


def test_every_outcome(stage: Stage, worker: CeleryWorker) -> None:
    app = stage.app
    added = [send(app, "add", number, 1).id for number in range(30)]
    failed = send(app, "fail", "on purpose")
    retried = send(app, "retry", 2, 0.1)
    expired = send(app, "noop", expires=datetime.now(timezone.utc) - timedelta(minutes=1))
    unknown = app.send_task("tests.project.tasks.nobody")

    stage.wait_all(added, "SUCCESS")
    row = stage.wait(added[7], "SUCCESS")
    assert (row.name, row.args, row.encoded_result, row.worker) == (
        f"{PACKAGE}.add",
        "(7, 1)",
        "8",
        worker.nodename,
    )
    assert row.broker == stage.project.settings["CELERY_BROKER_URL"]
    assert row.queue == "celery" and not row.message
    assert row.created_at and row.started_at and row.finished_at
    # What the main process has seen is written by the main process, in its own time.
    wait_until(lambda: stage.wait(added[7], "SUCCESS").received_at, 10, "the time of its receipt")

    row = stage.wait(failed.id, "FAILURE")
    assert json.loads(row.encoded_result or "")["exc_message"] == ["on purpose"]
    assert "ValueError: on purpose" in (row.traceback or "")
    row = stage.wait(retried.id, "SUCCESS")
    assert (row.retries, row.encoded_result, row.traceback) == (2, "3", None)
    assert "expired" in (stage.wait(expired.id, "REVOKED").encoded_result or "")
    assert "NotRegistered" in (stage.wait(unknown.id, "FAILURE").encoded_result or "")
    wait_until(lambda: worker.nodename in stage.workers(), DEADLINE)


def test_what_is_not_finished_yet(stage: Stage, worker: CeleryWorker) -> None:
    gate = stage.project.directory / f"gate-{uuid4()}"
    later = send(stage.app, "noop", countdown=3600)
    retrying = send(stage.app, "retry", 1, 3600)
    held = send(stage.app, "hold", str(gate))
    try:
        assert stage.wait(later.id, "RECEIVED").eta is not None
        assert stage.wait(held.id, "STARTED").worker == worker.nodename
    finally:
        gate.touch()

    stage.wait(held.id, "SUCCESS")
    wait_until(lambda: getattr(stage.row(retrying.id), "retries", 0) == 1, DEADLINE)
    assert stage.row(retrying.id).finished_at is None  # type: ignore[union-attr]


def test_a_foreign_message_is_adopted(stage: Stage, worker: CeleryWorker) -> None:
    headers = {"id": str(uuid4()), "task": f"{PACKAGE}.add", "argsrepr": "(2, 3)", "root_id": "r"}
    with stage.app.connection_for_write() as connection:
        Producer(connection).publish(
            ((2, 3), {}, {}), routing_key="celery", headers=headers, serializer="json"
        )

    row = stage.wait(headers["id"], "SUCCESS")
    assert (row.args, row.encoded_result, row.root_id, row.queue) == ("(2, 3)", "5", "r", "celery")


def test_a_child_that_dies(stage: Stage, processes: CeleryWorker) -> None:
    crashed = send(stage.app, "crash", queue="processes")

    row = stage.wait(crashed.id, "FAILURE")
    assert json.loads(row.encoded_result or "")["exc_type"] == WorkerLostError.__name__


def test_a_hard_time_limit(stage: Stage, processes: CeleryWorker) -> None:
    slow = send(stage.app, "sleep", 3600, time_limit=1, queue="processes")

    row = stage.wait(slow.id, "FAILURE")
    assert json.loads(row.encoded_result or "")["exc_type"] == TimeLimitExceeded.__name__


def test_a_task_that_is_terminated(stage: Stage, processes: CeleryWorker) -> None:
    slow = send(stage.app, "sleep", 3600, queue="processes")
    stage.wait(slow.id, "STARTED")

    stage.app.control.revoke(slow.id, terminate=True)

    assert "terminated" in (stage.wait(slow.id, "REVOKED").encoded_result or "")


def test_what_was_seen_last_is_written_at_the_end(stage: Stage) -> None:
    with stage.project.worker("-c", "2", "-Q", "last") as worker:
        ids = [send(stage.app, "add", 1, 1, queue="last").id for _ in range(200)]
        wait_until(lambda: len(set(SUCCEEDED.findall(worker.log)) & set(ids)) == 200, DEADLINE)

        assert worker.terminate() == 0

    stage.wait_all(ids, "SUCCESS")
    assert worker.nodename not in stage.workers()


def test_what_bodies_say_is_kept(stage: Stage, worker: CeleryWorker) -> None:
    names = ("use_loggers", "track", "flood")
    ids = [
        str(stage.app.send_task(f"tests.project.telling.{name}", args).id)
        for name, args in zip(names, ([], [1_000], [5_000]), strict=True)
    ]
    spoke, tracked, flooded = (stage.wait(task_id, "SUCCESS") for task_id in ids)

    wait_until(lambda: len(spoke.logs) == 3, DEADLINE)
    assert spoke.logs[0].logger == "tests.project.telling"
    wait_until(lambda: tracked.progress.percent == 100, DEADLINE)
    wait_until(lambda: len(flooded.logs) and flooded.logs.last().number == 5_000, DEADLINE)
    assert len(flooded.logs) == 1_000
