"""A server that may be harmed, and a worker on it for each pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cq_transport
from tests.chaos.load import Load
from tests.servers.project import Project
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

POOLS = {"prefork": ("-P", "prefork", "-c", "2"), "threads": ("-P", "threads", "-c", "2")}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that keeps its data when it is killed."""
    with RedisServer(appendonly=True) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """The way to the server; it can fall silent."""
    with Proxy(server.socket) as proxy:
        yield proxy


@pytest.fixture(scope="module", params=POOLS)
def load(
    request: pytest.FixtureRequest,
    server: RedisServer,
    proxy: Proxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Load]:
    """A worker of each pool behind the proxy, for the cases of one module."""
    directory = tmp_path_factory.mktemp("load")
    layers: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [proxy.redis_url], "capacity": 100_000, "expiry": 86_400},
        }
    }
    project = Project(
        directory,
        CHANNEL_LAYERS=layers,
        CELERY_BROKER_URL="channels://",
        CELERY_TASK_IGNORE_RESULT=True,
    )
    cq_transport.register()
    with pytest.MonkeyPatch.context() as patch:
        from channels.layers import channel_layers
        from django.conf import settings

        patch.setattr(settings, "CHANNEL_LAYERS", layers, raising=False)
        channel_layers.backends.clear()
        with project.app() as app:
            load = Load(directory, app, project, server, *POOLS[request.param])
            with load.worker:
                load.prove_consumption()
                yield load
        channel_layers.backends.clear()
