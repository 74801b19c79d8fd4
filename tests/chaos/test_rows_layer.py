"""The layer loses its messages, stalls, fills up and repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cq_compat.keeper.losses import SETTLED
from tests.chaos.redis_queue import RedisQueue
from tests.chaos.stage import LEASE, Stage
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

COUNT = 30


@pytest.fixture(autouse=True)
def worker(stage: Stage) -> None:
    stage.worker()


@pytest.fixture
def queue(faulty_redis: RedisServer) -> RedisQueue:
    return RedisQueue(faulty_redis, "celery")


class Backlog:
    """Tasks that fill the worker until `gate` exists, and tasks that wait in the layer."""

    def __init__(self, stage: Stage, queue: RedisQueue, name: str) -> None:
        self.gate = stage.gate(name)
        self.held = stage.publish("trace", 0, str(self.gate), count=12)  # two run
        stage.wait_state(self.held[:2], "STARTED")
        stage.wait_state(self.held[2:], "RECEIVED")
        self.waiting = stage.publish("trace", count=COUNT)
        wait_until(lambda: queue.size() == COUNT, 30, "the messages")
        stage.wait_sent(self.waiting)


def kill(stage: Stage) -> None:
    stage.redis.restart(keep=False)


def flush(stage: Stage) -> None:
    stage.redis.flush()


@pytest.mark.parametrize("fault", [kill, flush])
def test_the_layer_loses_everything(
    stage: Stage, queue: RedisQueue, fault: Callable[[Stage], None]
) -> None:
    backlog = Backlog(stage, queue, fault.__name__)
    fault(stage)
    wait_until(lambda: queue.size() == COUNT, 30, "the messages to be sent again")
    backlog.gate.touch()
    stage.wait_finished()
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


def test_the_layer_is_away_while_tasks_are_published(stage: Stage) -> None:
    stage.redis.kill()
    try:
        stage.publish("trace", count=COUNT)
    finally:
        stage.redis.start()
    stage.wait_finished()
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


def stall(stage: Stage) -> None:
    stage.redis.freeze()
    stage.wait_renewed(LEASE + 2)
    stage.redis.thaw()


def pause(stage: Stage) -> None:
    stage.redis.pause(LEASE + 2)
    stage.wait_renewed(LEASE + 2)


@pytest.mark.parametrize("fault", [stall, pause])
def test_the_layer_stalls_for_longer_than_a_lease(
    stage: Stage, queue: RedisQueue, fault: Callable[[Stage], None]
) -> None:
    backlog = Backlog(stage, queue, fault.__name__)
    fault(stage)
    backlog.gate.touch()
    stage.wait_finished()
    rows = stage.rows()
    assert {rows[task_id].fence for task_id in backlog.held} == {1}  # nobody was given up
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


def test_the_layer_starts_from_an_old_dump(stage: Stage, queue: RedisQueue) -> None:
    backlog = Backlog(stage, queue, "dump")
    stage.redis.save()
    backlog.gate.touch()
    stage.wait_finished()
    stage.redis.kill()
    stage.redis.start()
    _refused(stage, queue)


def test_every_message_comes_three_times(stage: Stage, queue: RedisQueue) -> None:
    backlog = Backlog(stage, queue, "copies")
    messages = queue.messages()
    queue.add(messages)
    queue.add(messages)
    backlog.gate.touch()
    stage.wait_finished()
    _refused(stage, queue)


def test_a_message_is_lost_in_a_queue_that_is_never_empty(stage: Stage, queue: RedisQueue) -> None:
    backlog = Backlog(stage, queue, "first")
    message = queue.pop()
    [lost] = [task_id for task_id in backlog.waiting if task_id.encode() in message]
    sent = "SELECT sent_at FROM cq_task WHERE id = %s"
    first_sent = stage.fetch(sent, lost)
    stage.wait_renewed(SETTLED + 2)
    second = stage.gate("second")
    later = stage.publish("trace", 0, str(second), count=24)  # more than the worker takes
    backlog.gate.touch()
    stage.wait_state(later[:2], "STARTED")

    wait_until(lambda: stage.fetch(sent, lost) not in (first_sent, [(None,)]), 60, "the next send")
    assert queue.size() > 10

    second.touch()
    stage.wait_finished()
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


def test_the_copy_of_a_task_that_was_pruned(stage: Stage, queue: RedisQueue) -> None:
    backlog = Backlog(stage, queue, "pruned")
    messages = queue.messages()
    backlog.gate.touch()
    stage.wait_finished()
    stage.fetch("DELETE FROM cq_task WHERE id = ANY(%s)", backlog.waiting)
    stage.published.difference_update(backlog.waiting)
    queue.add(messages)
    wait_until(lambda: not queue.size(), 30, "the copies to be taken")
    stage.publish("trace", count=4)
    stage.wait_finished()
    assert not stage.rows().keys() & set(backlog.waiting)
    records = stage.project.records()
    assert {len(records[task_id]) for task_id in backlog.waiting} == {2}  # the one body of before


def _refused(stage: Stage, queue: RedisQueue) -> None:
    wait_until(lambda: not queue.size(), 30, "the copies to be taken")
    last = stage.publish("trace", count=4)  # behind the copies
    stage.wait_finished(last)
    assert stage.states(stage.published) == ["SUCCESS"]
    assert not stage.history().faults


@pytest.fixture(scope="module")
def small(
    postgres_server: PostgresServer,
    faulty_redis: RedisServer,
    rows_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A stage whose layer has room for few messages, and keeps them for a few seconds."""
    database = postgres_server.create_database(template=rows_template)
    config = {"capacity": 40, "expiry": 3, "prefix": "small"}
    directory = tmp_path_factory.mktemp("small")
    with Stage(directory, postgres_server, faulty_redis, database, config=config) as made:
        yield made


def test_messages_expire_before_there_is_a_worker(small: Stage) -> None:
    queue = RedisQueue(small.redis, "celery", prefix="small")
    ids = small.publish("trace", count=COUNT)
    small.wait_sent(ids)
    wait_until(lambda: not queue.size(), 30, "the messages to expire")
    small.worker()
    small.wait_finished()
    assert small.states(ids) == ["SUCCESS"]
    assert not small.history().faults


def test_the_layer_has_no_room(small: Stage) -> None:
    small.worker()
    ids = small.publish("trace", count=1000)
    small.wait_finished(timeout=120)
    assert small.states(ids) == ["SUCCESS"]
    assert not small.history().faults


def test_a_full_queue_holds_up_no_other(small: Stage) -> None:
    small.worker()
    small.publish("trace", count=300, options={"queue": "nobody"})
    ids = small.publish("trace", count=4, options={"countdown": 4})  # a keeper sends them
    small.wait_finished(ids)
    assert small.states(ids) == ["SUCCESS"]
    small.worker("nobody")
    small.wait_finished()
    assert small.states(small.published) == ["SUCCESS"]
    assert not small.history().faults
