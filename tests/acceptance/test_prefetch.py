"""How many messages a worker holds: the prefetch count, and what moves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.acceptance.tasks import TIMEOUT, send
from tests.servers.project import Project
from tests.servers.waiting import wait_until

COUNT = 40


class Blocked:
    """Tasks that hold their workers until the gate is opened."""

    def __init__(self, app: Celery, gate: Path, name: str, count: int = COUNT) -> None:
        self.gate = gate
        self.results = [send(app, name, str(gate)) for _ in range(count)]

    def open(self) -> list[int]:
        """Let all of them end, and return the ids of their processes."""
        self.gate.touch()
        return [result.get(timeout=TIMEOUT) for result in self.results]


@pytest.fixture
def blocked(app: Celery, tmp_path: Path) -> Blocked:
    return Blocked(app, tmp_path / "gate", "hold_late")


@pytest.fixture(autouse=True)
def _empty(app: Celery) -> Iterator[None]:
    """Leave nothing in the queue for the next case."""
    yield
    app.control.purge()


def waiting(app: Celery) -> int:
    """Return how many messages are in the queue."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        return int(channel.queue_declare("celery", passive=True).message_count)


def assert_waiting(app: Celery, count: int) -> None:
    """Wait until so many messages are in the queue, and see that no worker takes more."""
    wait_until(lambda: waiting(app) == count, 20, lambda: f"{count} to wait, not {waiting(app)}")
    for _ in range(3):  # an answer shows that the worker has looked at its window meanwhile
        wait_until(lambda: app.control.ping(timeout=5, limit=1), 60, "an answer")
    assert waiting(app) == count


@pytest.mark.parametrize(
    ("pool", "multiplier"), [("prefork", 1), ("prefork", 4), ("threads", 4), ("gevent", 1)]
)
def test_it_holds(
    shared: Project, app: Celery, blocked: Blocked, pool: str, multiplier: int
) -> None:
    with shared.worker(f"--pool={pool}", "-c", "2", f"--prefetch-multiplier={multiplier}"):
        assert_waiting(app, COUNT - 2 * multiplier)
        blocked.open()


def test_early_acknowledgement_frees_room(shared: Project, app: Celery, tmp_path: Path) -> None:
    blocked = Blocked(app, tmp_path / "gate", "hold")
    with shared.worker("-c", "2", "--prefetch-multiplier=1"):
        assert_waiting(app, COUNT - 4)  # two run and are acknowledged, two are held
        blocked.open()


def test_it_follows_the_pool(shared: Project, app: Celery, blocked: Blocked) -> None:
    with shared.worker("-c", "1", "--prefetch-multiplier=2"):
        assert_waiting(app, COUNT - 2)
        app.control.pool_grow(2, reply=True, timeout=5, limit=1)
        assert_waiting(app, COUNT - 6)
        app.control.pool_shrink(1, reply=True, timeout=5, limit=1)
        blocked.open()


def test_tasks_for_later_take_no_room(shared: Project, app: Celery, tmp_path: Path) -> None:
    for _ in range(20):
        send(app, "noop", countdown=3600)
    blocked = Blocked(app, tmp_path / "gate", "hold_late")
    with shared.worker("-c", "1", "--prefetch-multiplier=2") as worker:
        assert_waiting(app, COUNT - 2)
        app.control.pool_grow(1, reply=True, timeout=5, limit=1)
        assert_waiting(app, COUNT - 4)
        blocked.open()
        worker.terminate()

    assert waiting(app) == 20  # handed back


def test_it_follows_autoscale(shared: Project, app: Celery, blocked: Blocked) -> None:
    with shared.worker("--autoscale=4,1", "--prefetch-multiplier=1") as worker:
        shared.wait_recorded([result.id for result in blocked.results[:4]], "start")
        assert_waiting(app, COUNT - 4)
        worker.wait_log("Scaling up")
        assert len(set(blocked.open()[:4])) == 4


def test_it_may_be_disabled(shared: Project, app: Celery, blocked: Blocked) -> None:
    with shared.worker("-c", "2", "--prefetch-multiplier=4", "--disable-prefetch"):
        assert_waiting(app, COUNT - 2)
        blocked.open()


def test_the_more_urgent_come_first(shared: Project, app: Celery) -> None:
    mixed = (5, 9, 0, 3, 7, 1, 8, 2, 6, 4)
    ids = {priority: send(app, "note", priority=priority).id for priority in mixed}
    with shared.worker("--pool=solo", "--prefetch-multiplier=1"):
        ran = shared.wait_recorded(ids.values(), "run")

    order = [task_id for task_id in shared.records() if task_id in ran]
    assert order == [ids[priority] for priority in sorted(ids)]


def test_children_are_replaced(shared: Project, app: Celery) -> None:
    with shared.worker("-c", "2", "--max-tasks-per-child=5"):
        results = [send(app, "describe") for _ in range(40)]
        pids = [result.get(timeout=TIMEOUT)["pid"] for result in results]

    assert max(pids.count(pid) for pid in pids) <= 5
