"""A task belongs to the transaction that published it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TimeoutError
from celery.result import AsyncResult
from django.core.management import call_command
from django.db import connections, transaction

from cq_compat import states
from cq_compat.database import alias, own_connection
from cq_compat.errors import DatabaseUnavailable
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, Outcome, WorkingMirror
from cq_compat.models import Task
from cq_compat.native.coalescing import publish_one
from cq_compat.outbox import outbox
from cq_compat.signals import TaskSignal, task_kept, task_recorded
from tests.servers.databases import declared
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.publishing import kept_in_rows, publisher, rolled_back, sent
from tests.servers.waiting import wait_until

TASKS, OTHER, GONE = "tasks", "other", "gone"


@contextmanager
def heard(signal: TaskSignal) -> Iterator[list[dict[str, Any]]]:
    """Yield what a signal tells from now on."""
    told: list[dict[str, Any]] = []

    def hear(sender: Any, signal: Any, **facts: Any) -> None:
        told.append(facts)

    signal.connect(hear)
    yield told
    signal.disconnect(hear)


class ToTasks:
    """A router that puts this app on a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return TASKS if model._meta.app_label == "cq" else None

    db_for_write = db_for_read


@pytest.fixture(scope="module")
def databases(postgres_server: PostgresServer, django_db_blocker: Any) -> Iterator[None]:
    entries = {
        name: postgres_server.django(postgres_server.create_database()) for name in (TASKS, OTHER)
    }
    gone = {**entries[OTHER], "PORT": free_port()}
    with django_db_blocker.unblock(), declared(**entries, **{GONE: gone}):
        call_command("migrate", "cq", database=TASKS, verbosity=0)
        yield


@pytest.fixture(autouse=True)
def empty(databases: None, layers: dict[str, Any]) -> Iterator[None]:
    with kept_in_rows():
        yield
    assert outbox.flush(10)
    Task.objects.using(TASKS).all().delete()


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app with a namespace of its own."""
    with publisher() as app:
        yield app


@pytest.fixture
def publish(app: Celery) -> Callable[[], AsyncResult]:
    return lambda: app.send_task("tests.add", (1, 2))


def rows() -> set[str]:
    """Return the ids of the tasks that are committed."""
    return {row[0] for row in own_connection().fetch("SELECT id FROM cq_task", [])}


def test_a_task_is_sent_when_its_transaction_commits(
    app: Celery, publish: Callable[[], AsyncResult]
) -> None:
    with transaction.atomic(using=TASKS):
        result = publish()
        assert Task.objects.using(TASKS).get().pk == result.id
        assert (rows(), sent(app)) == (set(), 0)

    assert (rows(), sent(app)) == ({result.id}, 1)
    wait_until(lambda: Task.objects.using(TASKS).get().sent_at, what="the note that it was sent")


def test_a_rollback_leaves_nothing(app: Celery, publish: Callable[[], AsyncResult]) -> None:
    with rolled_back(TASKS):
        publish()

    assert (rows(), sent(app)) == (set(), 0)


def test_a_savepoint_is_rolled_back_alone(app: Celery, publish: Callable[[], AsyncResult]) -> None:
    with transaction.atomic(using=TASKS):
        kept = publish()
        with rolled_back(TASKS):
            publish()
        with transaction.atomic(using=TASKS):
            inner = publish()

    assert (rows(), sent(app)) == ({kept.id, inner.id}, 2)


def test_a_transaction_of_another_database_is_another(
    app: Celery, publish: Callable[[], AsyncResult]
) -> None:
    with rolled_back(OTHER):
        result = publish()
        assert (rows(), sent(app)) == ({result.id}, 1)

    assert rows() == {result.id}


def test_without_a_transaction_it_is_sent_at_once(
    app: Celery, publish: Callable[[], AsyncResult]
) -> None:
    result = publish()

    assert (rows(), sent(app)) == ({result.id}, 1)


def test_celerys_own_order_can_be_had(
    app: Celery, publish: Callable[[], AsyncResult], settings: Any
) -> None:
    settings.CQ = {"DATABASE": TASKS, "SEND_ON_COMMIT": False}

    with transaction.atomic(using=TASKS):
        publish()
        assert (rows(), sent(app)) == (set(), 1)


def test_a_router_decides_where_nothing_else_does(
    app: Celery, publish: Callable[[], AsyncResult], settings: Any
) -> None:
    settings.CQ = {}
    settings.DATABASE_ROUTERS = [ToTasks()]
    assert alias() == TASKS

    with rolled_back(TASKS):
        publish()
    result = publish()

    assert (rows(), sent(app)) == ({result.id}, 1)


def test_waiting_in_the_transaction_warns(publish: Callable[[], AsyncResult]) -> None:
    with transaction.atomic(using=TASKS):
        result = publish()
        with (
            pytest.warns(RuntimeWarning, match="waits in vain") as warned,
            pytest.raises(TimeoutError),
        ):
            result.get(timeout=0)

    assert Path(warned[0].filename) == Path(__file__)


def test_with_the_layer_gone_it_waits_for_a_keeper(
    app: Celery, publish: Callable[[], AsyncResult], settings: Any
) -> None:
    gone = {"hosts": [f"redis://127.0.0.1:{free_port()}/0"]}
    layer = {**settings.CHANNEL_LAYERS["default"], "CONFIG": gone}
    settings.CHANNEL_LAYERS = {**settings.CHANNEL_LAYERS, "gone": layer}
    app.conf.broker_url = "channels://gone"

    with heard(task_kept) as told:
        with transaction.atomic(using=TASKS):
            result = publish()
        assert rows() == {result.id}
        assert outbox.flush(10)

    assert [(one["task_id"], one["reason"]) for one in told] == [(result.id, "LayerUnreachable")]
    assert Task.objects.using(TASKS).get().sent_at is None


def test_what_is_recorded_is_told_on_commit(publish: Callable[[], AsyncResult]) -> None:
    with heard(task_recorded) as told:
        with rolled_back(TASKS):
            publish()
        with transaction.atomic(using=TASKS):
            result = publish()
            assert told == []

    assert told == [{"task_id": result.id, "name": "tests.add", "queue": "celery"}]


def test_with_the_database_gone_nothing_is_published(
    app: Celery, publish: Callable[[], AsyncResult], settings: Any
) -> None:
    settings.CQ = {"DATABASE": GONE}
    with pytest.raises(DatabaseUnavailable, match="was not accepted"):
        publish()
    assert sent(app) == 0

    settings.CQ = {"DATABASE": GONE, "ON_DATABASE_DOWN": "publish"}
    publish()
    assert sent(app) == 1


def test_with_the_database_gone_nobody_knows_of_another_task(
    app: Celery, publish: Callable[[], AsyncResult], settings: Any
) -> None:
    settings.CQ = {"DATABASE": GONE}
    with pytest.raises(DatabaseUnavailable, match="was not accepted"):
        publish_one("key", "new", publish)
    assert sent(app) == 0

    settings.CQ = {"DATABASE": GONE, "ON_DATABASE_DOWN": "publish"}
    assert publish_one("key", "new", publish) == "new"
    assert sent(app) == 1


def test_no_statement_needs_the_session_of_another(
    app: Celery, publish: Callable[[], AsyncResult]
) -> None:
    """A pooler may give each transaction another session, if Django is told so."""
    own = own_connection()
    own.close()
    connections.settings[TASKS]["DISABLE_SERVER_SIDE_CURSORS"] = True
    try:
        lease = Lease("w1@test", "channels://default")
        for _ in range(10):  # statements are prepared after five times
            result = publish()
            lease.renew()
            for connection in (own, lease.connection):
                connection.execute("DISCARD ALL", [])
            mirror = WorkingMirror(own)
            (claim,) = mirror.claim([(result.id, 0)], lease.owner, "w1@test")
            own.execute("DISCARD ALL", [])
            assert mirror.start(claim, acks_late=False)
            own.execute("DISCARD ALL", [])
            assert mirror.finish(claim, Outcome(states.SUCCESS))
            assert KeepingMirror(own).orphans(1) == []
        lease.end()
    finally:
        connections.settings[TASKS]["DISABLE_SERVER_SIDE_CURSORS"] = False
        own.close()
