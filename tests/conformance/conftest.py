"""The servers, the layers and the parametrisation of the conformance cases."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from kombu import Connection

import cq_transport
from cq_transport.ledger import NoLedger
from tests.conformance import backends
from tests.conformance.backends import Backend
from tests.conformance.broker import Broker
from tests.conformance.peer import Peer
from tests.servers.redis import RedisServer

LAYER_APP = "channels_postgres"
SETTINGS = {"USE_TZ": True, "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every case that asks for a backend on each backend that can have it."""
    if "backend" in metafunc.fixturenames:
        cases = backends.cases_of(metafunc.function)
        metafunc.parametrize("backend", cases, ids=lambda backend: backend.name)


@pytest.fixture(scope="package")
def second_redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="package")
def django_settings(
    redis_server: RedisServer,
    second_redis_server: RedisServer,
    make_layer_database: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """The Django settings under which this process and the other one run, JSON all through."""
    database = make_layer_database()
    hosts = [redis_server.unix_url, second_redis_server.unix_url]
    return {
        **SETTINGS,
        "INSTALLED_APPS": [LAYER_APP],
        "DATABASES": {"default": database, LAYER_APP: database},
        "CHANNEL_LAYERS": backends.layers(hosts, database),
    }


@pytest.fixture(scope="package")
def peer(django_settings: dict[str, Any]) -> Iterator[Peer]:
    peer = Peer(django_settings)
    yield peer
    peer.close()


@pytest.fixture(scope="package", autouse=True)
def configured(django_settings: dict[str, Any], peer: Peer) -> Iterator[None]:
    cq_transport.register()
    here = {key: django_settings[key] for key in ("INSTALLED_APPS", "CHANNEL_LAYERS")}
    connections.settings[LAYER_APP] = django_settings["DATABASES"][LAYER_APP]
    with override_settings(**here):
        yield
    del connections.settings[LAYER_APP]


@pytest.fixture
def transport_alone() -> Iterator[None]:
    """No rows in this process: the cases are about messages."""
    before = cq_transport.current_ledger()
    cq_transport.use_ledger(NoLedger())
    yield
    cq_transport.use_ledger(before)


@pytest.fixture
def broker(
    transport_alone: None, backend: Backend, redis_server: RedisServer, peer: Peer
) -> Iterator[Broker]:
    """A broker of the backend under test with a namespace of its own."""
    broker = Broker(backend, redis_server, peer)
    yield broker
    broker.close()


@pytest.fixture
def connection(broker: Broker) -> Connection:
    return broker.connect()


@pytest.fixture
def other(broker: Broker) -> Connection:
    """A second connection to the same broker."""
    return broker.connect()
