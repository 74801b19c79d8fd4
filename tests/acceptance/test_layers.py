"""Workers on layers of every configuration that `RedisChannelLayer` takes."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.tasks import call, send
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.sentinel import Sentinel

KINDS = ("shards", "unix socket", "password and TLS", "encryption", "prefix")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, **options: Any) -> RedisServer:
    """Start a server that ends with the test."""
    return stack.enter_context(RedisServer(**options))


def configured(kind: str, stack: ExitStack, server: RedisServer) -> dict[str, Any]:
    """Return the entries of the layer's CONFIG that make it one of `KINDS`."""
    if kind == "shards":
        return {"hosts": [server.url, start(stack).url]}
    if kind == "unix socket":
        return {"hosts": [server.unix_url]}
    if kind == "password and TLS":
        return {"hosts": [start(stack, password="secret", tls=True).url]}
    if kind == "encryption":
        return {"symmetric_encryption_keys": ["new key", "old key"]}
    return {"prefix": "tasks"}


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_layer(
    tmp_path: Path, redis_server: RedisServer, stack: ExitStack, kind: str
) -> None:
    redis_server.flush()
    config = configured(kind, stack, redis_server)
    project = Project.on_redis(tmp_path, redis_server, config=config)
    queues = [f"queue-{number}" for number in range(6)]  # on both of two hosts
    with project.client() as app, project.worker("-c", "2", "-Q", ",".join(queues)) as worker:
        results = [send(app, "add", n, 1, queue=queues[n % 6]) for n in range(60)]
        assert [result.get(timeout=30) for result in results] == list(range(1, 61))
        assert app.control.ping(destination=[worker.nodename], timeout=10)
        late = [send(app, "noop", countdown=3600, queue=queue) for queue in queues]
        assert len(app.control.inspect(timeout=10, limit=1).registered()) == 1
        assert worker.terminate() == 0
        assert waiting(app, queues) == len(late)  # handed back


def waiting(app: Any, queues: list[str]) -> int:
    """Return how many messages the queues hold."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        return sum(channel.queue_declare(queue, passive=True).message_count for queue in queues)


def test_sentinel_and_its_failover(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.flush()
    with Sentinel(password="secret") as sentinel:
        project = Project.on_redis(
            tmp_path, redis_server, config={"hosts": [sentinel.layer_host], "expiry": 3600}
        )
        with project.client() as app, project.worker("-c", "2") as worker:
            assert call(app, "add", 1, 1) == 2
            sentinel.failover()
            assert call(app, "add", 2, 2, retry_policy={"max_retries": 50}) == 4
            worker.wait_log("The connection to the channel layer is back")
            assert app.control.ping(destination=[worker.nodename], timeout=20)


def test_namespaces_are_apart(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.flush()
    sites = {}
    for name in ("shop", "blog"):
        (tmp_path / name).mkdir()
        url = f"channels://default/{name}"
        sites[name] = Project.on_redis(tmp_path / name, redis_server, CELERY_BROKER_URL=url)
    shop, blog = sites["shop"], sites["blog"]
    with shop.client() as app, blog.client() as other, shop.worker("--pool=solo") as worker:
        unseen = send(other, "note")
        call(app, "note")
        assert unseen.id not in shop.records()
        assert other.control.ping(timeout=0.5) == []
        assert list(app.control.ping(timeout=10, limit=1)[0]) == [worker.nodename]
        with blog.worker("--pool=solo") as second:
            second.wait_log("mingle: all alone")
            blog.wait_recorded([unseen.id], "run")
            assert app.control.ping(timeout=0.5) == [{worker.nodename: {"ok": "pong"}}]
