"""The delay proxy of the tests."""

import socket
import time
from collections.abc import Iterator

import pytest
import redis

from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis_server.socket) as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        assert _ping(connection)
        yield connection


def _ping(connection: socket.socket) -> bool:
    connection.sendall(b"PING\r\n")
    return connection.recv(100) == b"+PONG\r\n"


def test_delays_each_way(proxy: Proxy, connection: socket.socket) -> None:
    proxy.set_delay(0.02, 0.03)
    before = time.monotonic()
    assert _ping(connection)
    assert time.monotonic() - before >= 0.0499  # a lower bound holds on the slowest machine too


def test_cut_resets_and_accepts_again(proxy: Proxy, connection: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as again:
        assert _ping(again)


def test_silence_keeps_connections_open(proxy: Proxy, connection: socket.socket) -> None:
    proxy.silence()
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        _ping(connection)
    proxy.heal()
    connection.settimeout(10)
    assert connection.recv(100) == b"+PONG\r\n"


def test_stopped_proxy_refuses(proxy: Proxy) -> None:
    proxy.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def test_large_bodies_arrive_whole(proxy: Proxy, redis_server: RedisServer) -> None:
    body = b"0123456789abcdef" * (1 << 20)  # 16 MB, more than the proxy holds at once
    proxy.set_delay(0.001)
    with redis.Redis.from_url(proxy.redis_url) as client:
        client.set("large", body)
        assert client.get("large") == body
        client.delete("large")


def test_end_of_stream_comes_after_the_data(proxy: Proxy) -> None:
    proxy.set_delay(0.01)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        connection.sendall(b"PING\r\nQUIT\r\n")
        received = b""
        while data := connection.recv(100):
            received += data
    assert received == b"+PONG\r\n+OK\r\n"


def test_lost_target_closes_the_client() -> None:
    # The reset may come while the connection is still being made.
    with Proxy("127.0.0.1:1") as proxy, pytest.raises(ConnectionResetError):  # noqa: SIM117
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            client.recv(1)


def test_connections_are_forgotten(proxy: Proxy, own_redis: RedisServer) -> None:
    with Proxy(own_redis.socket) as private:
        with socket.create_connection(("127.0.0.1", private.port), timeout=10) as connection:
            assert _ping(connection)
        wait_until(lambda: own_redis.info("clients")["connected_clients"] == 1, what="its end")
