"""Tasks that wait go to another broker as they are."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from django.core.management import CommandError, call_command
from kombu import Connection, Exchange, Queue
from redis.exceptions import RedisError

from cq_compat.database import own_connection
from cq_compat.lease import Lease
from cq_compat.mirror import WorkingMirror
from cq_compat.models import Task
from cq_compat.moving import move
from cq_compat.outbox import outbox
from tests.servers.databases import declared
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.publishing import kept_in_rows
from tests.servers.redis import RedisServer

TASKS = "tasks"


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, django_db_blocker: Any) -> Iterator[None]:
    entry = postgres_server.django(postgres_server.create_database())
    with django_db_blocker.unblock(), declared(**{TASKS: entry}):
        call_command("migrate", "cq", database=TASKS, verbosity=0)
        yield


@pytest.fixture
def app(database: None, layers: dict[str, Any]) -> Iterator[Celery]:
    with kept_in_rows(), Celery("moving", set_as_current=False) as app:
        app.conf.update(
            broker_url=f"channels://default/{uuid4().hex[:8]}",
            result_backend="cq",
            task_queues=[
                Queue("celery"),
                Queue("sport", Exchange("news", type="topic"), routing_key="*.sport"),
            ],
        )
        yield app
    assert outbox.flush(10)
    Task.objects.using(TASKS).all().delete()


def waiting(url: str, queue: str) -> dict[str, Any]:
    """Return the messages of a queue by their ids."""
    found = {}
    with Connection(url) as broker:
        while (message := broker.default_channel.basic_get(queue)) is not None:
            message.ack()
            found[message.headers["id"]] = message
    return found


def test_what_waits_is_moved_as_it_is(app: Celery, clean_redis: RedisServer) -> None:
    eta = datetime.now(timezone.utc) + timedelta(days=1)
    sent = app.send_task("tests.add", (1, 2), priority=7)
    later = app.send_task("tests.add", (3,), {"y": 4}, eta=eta, compression="gzip")
    routed = app.send_task("tests.add", (5, 6), exchange="news", routing_key="world.sport")
    held = app.send_task("tests.add", (7, 8))
    assert outbox.flush(10)
    lease = Lease("w1@test", "channels://default")
    lease.renew()
    working = WorkingMirror(own_connection())
    assert working.claim([(held.id, 0)], lease.owner, lease.hostname)

    assert move(app, clean_redis.url, "sport") == 0
    assert move(app, clean_redis.url, dry_run=True) == 3
    assert move(app, clean_redis.url) == 3
    assert move(app, clean_redis.url) == 0

    found = waiting(clean_redis.url, "celery")
    assert {key: message.payload[:2] for key, message in found.items()} == {
        sent.id: [[1, 2], {}],
        later.id: [[3], {"y": 4}],
    }
    assert found[sent.id].properties["priority"] == 7
    assert datetime.fromisoformat(found[later.id].headers["eta"]) == eta
    assert "cq" not in found[sent.id].headers
    assert set(waiting(clean_redis.url, "sport")) == {routed.id}
    assert working.claim([(sent.id, 0)], lease.owner, lease.hostname) == []
    moved = Task.objects.using(TASKS).get(pk=sent.id)
    assert (moved.broker, moved.message, moved.due_at) == (clean_redis.url, "", None)
    lease.end()


def test_what_cannot_be_published_stays(app: Celery, own_redis: RedisServer) -> None:
    app.send_task("tests.add", (1, 2))
    own_redis.run("CONFIG", "SET", "maxmemory", 1)

    with pytest.raises(RedisError, match="maxmemory"):
        move(app, own_redis.url)

    assert Task.objects.using(TASKS).get().message
    assert waiting(own_redis.url, "celery") == {}


def test_a_broker_that_is_away_is_said(app: Celery) -> None:
    with pytest.raises(CommandError, match="is away"):
        call_command("cq_move", f"redis://127.0.0.1:{free_port()}/0")


def test_another_layer_is_none_to_move_to() -> None:
    with pytest.raises(CommandError, match="cq_recover"):
        call_command("cq_move", "channels://other")
