"""Remote control of one worker: what it tells of itself, and what it is told to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import Celery
from celery.app.control import Inspect
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded

from tests.acceptance.tasks import PACKAGE, TIMEOUT, call, send, task
from tests.servers.project import Project
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

SETTINGS = {"CELERY_WORKER_POOL_RESTARTS": True}
NAME = "controlled@test"
HOLD = f"{PACKAGE}.hold"


@pytest.fixture(scope="module", autouse=True)
def worker(shared: Project) -> Iterator[CeleryWorker]:
    with shared.worker("-c", "2", nodename=NAME) as worker:
        yield worker


@pytest.fixture
def inspect(app: Celery) -> Inspect:
    return app.control.inspect(destination=[NAME], timeout=TIMEOUT)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """The file that `hold` waits for; it is there at the end."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def tell(app: Celery, command: str, **arguments: Any) -> Any:
    """Give the worker a command and return its answer."""
    answers = app.control.broadcast(
        command, arguments=arguments, destination=[NAME], reply=True, timeout=TIMEOUT
    )
    assert len(answers) == 1
    return answers[0][NAME]


def told(answer: dict[str, Any] | None) -> Any:
    """Return what the one worker answered."""
    assert answer is not None and list(answer) == [NAME]
    return answer[NAME]


def wait_queues(inspect: Inspect, *names: str) -> None:
    """Wait until the worker consumes these queues: it answers a command before it obeys."""

    def consumed() -> set[str]:
        return {queue["name"] for queue in told(inspect.active_queues())}

    wait_until(lambda: consumed() == set(names), TIMEOUT, lambda: f"{names}, not {consumed()}")


def start_holding(app: Celery, shared: Project, gate: Path) -> list[str]:
    """Fill both children with tasks that wait for the gate; return their ids."""
    ids = [send(app, "hold", str(gate)).id for _ in range(2)]
    shared.wait_recorded(ids, "start")
    return ids


def test_ping(inspect: Inspect) -> None:
    assert told(inspect.ping()) == {"ok": "pong"}


def test_stats(app: Celery, inspect: Inspect, worker: CeleryWorker) -> None:
    call(app, "echo", 1)
    stats = told(inspect.stats())

    assert stats["pid"] == worker.pid
    assert stats["broker"]["transport"] == "channels"
    assert stats["prefetch_count"] == 8
    assert stats["total"][f"{PACKAGE}.echo"] == 1
    assert len(stats["pool"]["processes"]) == 2


def test_configuration(inspect: Inspect) -> None:
    masked = "channels://" if celery.VERSION >= (5, 7) else "channels://default"
    assert told(inspect.conf())["CELERY_BROKER_URL"] == masked
    assert "channels" in told(inspect.report())["ok"]
    assert f"{PACKAGE}.add" in told(inspect.registered())
    assert told(inspect.clock())["clock"] > 0
    assert [queue["name"] for queue in told(inspect.active_queues())] == ["celery"]


def test_memory(inspect: Inspect) -> None:
    assert told(inspect.memsample())
    assert told(inspect.memdump())


def test_tasks_by_state(app: Celery, shared: Project, inspect: Inspect, gate: Path) -> None:
    active = start_holding(app, shared, gate)
    reserved, later = send(app, "noop"), send(app, "noop", countdown=3600)
    wait_until(lambda: told(inspect.scheduled()) and told(inspect.reserved()), TIMEOUT)

    assert {found["id"] for found in told(inspect.active())} == set(active)
    assert later.id in [found["request"]["id"] for found in told(inspect.scheduled())]
    assert reserved.id in [found["id"] for found in told(inspect.reserved())]
    found = told(inspect.query_task(active[0], reserved.id, later.id))
    expected = {active[0]: "active", reserved.id: "reserved"}
    if celery.VERSION >= (5, 7):  # before, Celery tells nothing of what is scheduled
        expected[later.id] = "scheduled"
    assert {key: state for key, (state, _) in found.items()} == expected
    app.control.revoke(later.id)


def test_revoke(app: Celery, shared: Project, inspect: Inspect, gate: Path) -> None:
    start_holding(app, shared, gate)
    result = send(app, "note")
    assert "ok" in tell(app, "revoke", task_id=result.id)
    gate.touch()

    with pytest.raises(TaskRevokedError):
        result.get(timeout=TIMEOUT)
    assert result.id in told(inspect.revoked())
    assert result.id not in shared.records()


def test_revoke_by_stamped_headers(app: Celery, shared: Project, gate: Path) -> None:
    start_holding(app, shared, gate)
    stamped = task(app, "note")
    stamped.stamp(tenant="a")
    result, other = stamped.apply_async(), send(app, "note")
    tell(app, "revoke_by_stamped_headers", headers={"tenant": "a"})
    gate.touch()

    with pytest.raises(TaskRevokedError):
        result.get(timeout=TIMEOUT)
    other.get(timeout=TIMEOUT)


def test_terminate(app: Celery, shared: Project, tmp_path: Path) -> None:
    result = send(app, "hold", str(tmp_path / "never"))
    shared.wait_recorded([result.id], "start")
    assert "terminate" in tell(app, "terminate", signal="KILL", task_id=result.id)["ok"]

    with pytest.raises(TaskRevokedError):
        result.get(timeout=TIMEOUT)
    assert [call(app, "add", n, n) for n in range(4)] == [0, 2, 4, 6]


def test_rate_limit(app: Celery, shared: Project) -> None:
    name = f"{PACKAGE}.where"
    assert "ok" in tell(app, "rate_limit", task_name=name, rate_limit="1/h")
    first, second, third = [send(app, "where").id for _ in range(3)]
    call(app, "noop")

    shared.wait_recorded([first], NAME)
    assert not {second, third} & set(shared.records())
    assert "ok" in tell(app, "rate_limit", task_name=name, rate_limit="0")
    call(app, "where")


def test_time_limits(app: Celery) -> None:
    # What the command sets concerns task classes that are traced anew, so Celery's answer is all
    # there is to see, on every broker.
    assert "ok" in tell(app, "time_limit", task_name=f"{PACKAGE}.sleep", soft=50, hard=60)

    with pytest.raises(SoftTimeLimitExceeded):
        call(app, "sleep", 60, soft_time_limit=0.2)
    with pytest.raises(TimeLimitExceeded):
        call(app, "sleep", 60, time_limit=0.2)


def test_add_and_cancel_consumer(app: Celery, inspect: Inspect) -> None:
    waits = send(app, "add", 1, 2, queue="extra")
    assert "ok" in tell(app, "add_consumer", queue="extra")
    assert waits.get(timeout=TIMEOUT) == 3
    wait_queues(inspect, "celery", "extra")

    assert "ok" in tell(app, "cancel_consumer", queue="extra")
    wait_queues(inspect, "celery")
    send(app, "note", queue="extra")
    assert call(app, "add", 1, 1) == 2
    with app.connection_for_read() as connection, connection.channel() as channel:
        assert channel.queue_declare("extra", passive=True).message_count == 1


def test_add_consumer_with_a_topic(app: Celery, inspect: Inspect) -> None:
    tell(
        app,
        "add_consumer",
        queue="weather",
        exchange="reports",
        exchange_type="topic",
        routing_key="weather.#",
    )
    wait_queues(inspect, "celery", "weather")

    result = send(app, "add", 2, 2, exchange="reports", routing_key="weather.north.rain")
    assert result.get(timeout=TIMEOUT) == 4
    tell(app, "cancel_consumer", queue="weather")
    wait_queues(inspect, "celery")


def test_pool_grows_and_shrinks(app: Celery, inspect: Inspect) -> None:
    def processes() -> int:
        return len(told(inspect.stats())["pool"]["processes"])

    def window() -> int:
        return int(told(inspect.stats())["prefetch_count"])

    before = window()
    assert "ok" in tell(app, "pool_grow", n=2)
    wait_until(lambda: processes() == 4, TIMEOUT, "four processes")
    assert window() == before + 8
    assert "ok" in tell(app, "pool_shrink", n=2)
    wait_until(lambda: processes() == 2, TIMEOUT, "two processes")
    assert window() == before


def test_pool_restarts(app: Celery, inspect: Inspect) -> None:
    def processes() -> set[int]:
        return set(told(inspect.stats())["pool"]["processes"])

    before = processes()
    assert "ok" in tell(app, "pool_restart")

    def replaced() -> bool:
        # On every broker a child ends when it next looks for work, so there has to be some.
        return call(app, "add", 1, 1) == 2 and len(now := processes()) == 2 and not before & now

    wait_until(replaced, TIMEOUT, lambda: f"new children, not {before & processes()} still")


def test_autoscale(shared: Project, app: Celery) -> None:
    with shared.worker("--autoscale=2,1", "-Q", "scaled", nodename="scaled@test"):
        answers = app.control.autoscale(
            5, 3, destination=["scaled@test"], reply=True, timeout=TIMEOUT
        )

    assert answers == [{"scaled@test": {"ok": "autoscale now max=5 min=3"}}]


def test_events_are_switched(app: Celery) -> None:
    assert tell(app, "enable_events") == {"ok": "task events enabled"}
    assert tell(app, "enable_events") == {"ok": "task events already enabled"}
    assert tell(app, "disable_events") == {"ok": "task events disabled"}


def test_heartbeat_is_sent_at_once(app: Celery, inspect: Inspect) -> None:
    app.control.heartbeat(destination=[NAME])

    assert told(inspect.ping()) == {"ok": "pong"}


def test_shutdown(shared: Project, app: Celery) -> None:
    with shared.worker("--pool=solo", "-Q", "short", nodename="short@test") as worker:
        app.control.shutdown(destination=["short@test"])
        assert worker.wait() == 0
