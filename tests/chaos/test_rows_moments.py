"""A process dies, or an answer is lost, between two steps that belong together."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.chaos.barrier import Barrier
from tests.chaos.publisher import Publisher
from tests.chaos.redis_queue import RedisQueue
from tests.chaos.stage import Stage, kill_group
from tests.extent import extent
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

#: Sessions of a publisher that was killed.
DOOMED = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'doomed'"


def die_after_commit(stage: Stage, queue: str, count: int = 5) -> list[str]:
    """Return the ids of tasks whose publisher has died between its commit and the send."""
    done = stage.project.python(
        "-m", "tests.chaos.dying_publisher", queue, str(count), code=-signal.SIGKILL
    )
    ids = done.stdout.split()
    stage.published.update(ids)
    return ids


def test_the_transaction_of_a_publisher_is_rolled_back(stage: Stage) -> None:
    stage.worker()
    undone = stage.publish("trace", count=5, transaction="rollback")
    done = stage.publish("trace", count=5, transaction="commit")
    stage.wait_finished()
    assert not stage.rows().keys() & set(undone)
    assert stage.states(done) == ["SUCCESS"]
    assert not stage.history().faults


def test_a_publisher_dies_between_its_commit_and_the_send(stage: Stage) -> None:
    stage.worker()
    ids = die_after_commit(stage, "celery")
    assert stage.rows().keys() >= set(ids)
    stage.wait_finished()
    assert stage.states(ids) == ["SUCCESS"]
    assert not stage.history().faults


def test_a_publisher_dies_in_a_block_of_many(stage: Stage) -> None:
    size, kills = 200, extent(4, 40)
    order = {"count": size, "transaction": "bulk"}
    stage.publish("trace")
    began = time.monotonic()
    stage.publish("trace", **order)
    lasts = time.monotonic() - began
    for number in range(kills):
        before = stage.rows().keys()
        publisher = Publisher({**stage.project.env, "PGAPPNAME": "doomed"})
        stage.published.update(publisher.publish("trace"))  # it is at work
        publisher.begin("trace", **order)
        over = time.monotonic() + lasts * number / (kills - 1)
        wait_until(lambda end=over: time.monotonic() >= end, lasts + 5, "the moment", 0.001)
        publisher.close()
        wait_until(lambda: not stage.fetch(DOOMED), 30, "the dead publisher's session to end")
        made = stage.rows().keys() - before
        assert len(made) in (1, 1 + size)
        stage.published.update(made)
    stage.worker()
    stage.wait_finished()
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


def test_a_keeper_dies_between_the_send_and_the_note(stage: Stage) -> None:
    keeper, queue = stage.worker(), RedisQueue(stage.redis, "rung")
    with Barrier(stage, "OLD.sent_at IS NULL AND NEW.sent_at IS NOT NULL"):
        ids = die_after_commit(stage, "rung")
        wait_until(queue.size, 30, lambda: f"the keeper to send:\n{keeper.tail()}")
        kill_group(keeper)
        sent = queue.size()  # those that were due when it looked
    stage.worker()
    wait_until(lambda: queue.size() == sent + len(ids), 60, "another keeper to send")
    stage.worker("rung")
    stage.wait_finished()
    wait_until(lambda: not queue.size(), 30, "the second copies to be taken")
    assert stage.states(ids) == ["SUCCESS"]
    assert not stage.history().faults


@pytest.mark.parametrize(("task", "state"), [("trace", "FAILURE"), ("trace_late", "SUCCESS")])
def test_a_worker_dies_between_the_body_and_the_commit(stage: Stage, task: str, state: str) -> None:
    stage.worker()
    victim = stage.worker("victim")
    with Barrier(stage, "NEW.state = 'SUCCESS'") as barrier:
        ids = stage.publish(task, options={"queue": "victim"})
        barrier.wait_reached()
        kill_group(victim)
        barrier.cut_off()
    stage.worker("victim")
    stage.wait_finished()
    assert stage.states(ids) == [state]
    assert not stage.history().faults


@pytest.fixture(scope="module")
def database_link(postgres_server: PostgresServer) -> Iterator[Proxy]:
    """The way from the workers to the database."""
    with Proxy(f"127.0.0.1:{postgres_server.port}") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def far(
    postgres_server: PostgresServer,
    faulty_redis: RedisServer,
    rows_template: str,
    database_link: Proxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A stage whose processes reach the database through `database_link`, with a long lease."""
    database = postgres_server.create_database(template=rows_template)
    settings = {
        "DATABASES": {"default": {**postgres_server.django(database), "PORT": database_link.port}}
    }
    with Stage(
        tmp_path_factory.mktemp("far"),
        postgres_server,
        faulty_redis,
        database,
        config={"prefix": "far"},
        CQ={"LEASE": 60},
        **settings,
    ) as made:
        yield made


@pytest.mark.parametrize("state", ["RECEIVED", "STARTED", "SUCCESS"])
def test_the_answer_to_a_change_is_lost(far: Stage, database_link: Proxy, state: str) -> None:
    far.worker()
    far.wait_finished(far.publish("trace"))
    with Barrier(far, f"NEW.state = '{state}' AND OLD.state <> NEW.state") as barrier:
        ids = far.publish("trace")
        barrier.wait_reached()
        database_link.set_delay(0, 60)  # answers do not get back
        barrier.open()
        wait_until(lambda: far.states(ids) == [state], 30, "the change")
        database_link.set_delay(0)
        database_link.cut()
    far.wait_finished()
    assert far.states(ids) == ["SUCCESS"]
    assert len(far.project.records()[ids[0]]) == 2  # one body
    assert not far.history().faults
