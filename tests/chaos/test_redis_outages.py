"""Workers and publishers of a Redis layer that restarts, cuts, forgets, is silent or full."""

from __future__ import annotations

from time import monotonic

import pytest

from tests.chaos.load import Load
from tests.extent import extent
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.chaos

RESTARTS = extent(10, 50)
CUTS = extent(20, 50)
#: Seconds of a long absence: several pauses between attempts to reconnect at least.
ABSENCE = extent(8.0, 60.0)


def progress(load: Load, count: int = 5) -> None:
    """Return once so many more tasks have run."""
    before = load.project.recorded()
    wait_until(lambda: load.project.recorded() >= before + count, 40, lambda: load.worker.tail(60))


def test_restarts_under_load(load: Load, server: RedisServer) -> None:
    with load.publishing():
        for _ in range(RESTARTS):
            server.kill()
            server.start()
            progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()
    assert not load.repeated()


def test_killed_connections_under_load(load: Load, server: RedisServer) -> None:
    with load.publishing():
        for _ in range(CUTS):
            server.kill_clients()
            progress(load, 1)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


def test_a_flush(load: Load, server: RedisServer) -> None:
    load.prove_that_nothing_is_lost()
    server.flush()
    load.prove_consumption()
    with load.publishing():
        progress(load, 100)
    load.prove_that_nothing_is_lost()


def test_a_long_absence(load: Load, server: RedisServer) -> None:
    with load.publishing():
        server.kill()
        back_at = monotonic() + ABSENCE
        wait_until(lambda: monotonic() > back_at, 2 * ABSENCE)
        server.start()
        progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


def test_a_half_open_connection(load: Load, proxy: Proxy) -> None:
    before = load.worker.log.count("connection to the channel layer is lost")
    with load.publishing():
        proxy.silence()
        wait_until(
            lambda: load.worker.log.count("connection to the channel layer is lost") > before, 60
        )
        proxy.kill()
        proxy.start()
        progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


def test_a_frozen_server(load: Load, server: RedisServer) -> None:
    before = load.worker.log.count("connection to the channel layer is lost")
    with load.publishing():
        server.freeze()
        try:
            wait_until(
                lambda: load.worker.log.count("connection to the channel layer is lost") > before,
                60,
            )
        finally:
            server.thaw()
        progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


def test_a_server_without_memory(load: Load, server: RedisServer) -> None:
    with load.publishing():
        before = load.errors().count("refused")
        server.run("CONFIG", "SET", "maxmemory", "1")
        try:
            wait_until(lambda: load.errors().count("refused") > before, 40, load.errors)
        finally:
            server.run("CONFIG", "SET", "maxmemory", "0")
        progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


def test_a_replica_that_refuses_writes(load: Load, server: RedisServer) -> None:
    before = load.worker.log.count("connection to the channel layer is lost")
    with load.publishing():
        server.run("REPLICAOF", "127.0.0.1", "1")
        wait_until(
            lambda: load.worker.log.count("connection to the channel layer is lost") > before, 60
        )
        server.run("REPLICAOF", "NO", "ONE")
        progress(load)
    load.prove_consumption()
    load.prove_that_nothing_is_lost()


@pytest.mark.parametrize("stop", ["terminate", "quit"])
def test_a_worker_ends_while_the_layer_is_away(load: Load, server: RedisServer, stop: str) -> None:
    with load.project.worker("-Q", "third", *load.pool) as worker:
        server.kill()
        try:
            getattr(worker, stop)(timeout=60)
        finally:
            server.start()
    load.prove_consumption()
