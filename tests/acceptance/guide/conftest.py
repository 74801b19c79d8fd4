"""Servers at the addresses that the guide gives them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.guide.reader import Reader
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.sentinel import Sentinel


@pytest.fixture
def reader(
    tmp_path: Path, clean_redis: RedisServer, other_addresses: dict[str, str]
) -> Iterator[Reader]:
    """A reader with servers at the addresses that the page in hand gives them."""
    addresses = {"localhost:6379": f"127.0.0.1:{clean_redis.port}", **other_addresses}
    with Reader(tmp_path, addresses) as reader:
        yield reader


@pytest.fixture
def other_addresses() -> dict[str, str]:
    """Most pages need no other server."""
    return {}


@pytest.fixture
def layer_addresses(
    secret_redis: RedisServer, sentinel: Sentinel, postgres_server: PostgresServer
) -> dict[str, str]:
    """A server with a password, TLS and a socket; a sentinel; PostgreSQL."""
    assert secret_redis.front is not None
    postgres_server.create_database("shop")
    return {
        "localhost:6380": f"127.0.0.1:{secret_redis.front.port}",
        "localhost:6381": f"127.0.0.1:{secret_redis.port}",
        "/etc/ssl/shop/ca.pem": str(secret_redis.front.certificate.certificate),
        "/run/redis/redis.sock": str(secret_redis.socket),
        '"localhost", 26379': f'"127.0.0.1", {sentinel.process.port}',
        '"HOST": "localhost"': '"HOST": "127.0.0.1"',
        '"PORT": 5432': f'"PORT": {postgres_server.port}',
        '"USER": "shop"': '"USER": "postgres"',
    }


@pytest.fixture
def secret_redis() -> Iterator[RedisServer]:
    """A server that asks for the guide's password."""
    with RedisServer(password="secret", tls=True).start() as server:
        yield server


@pytest.fixture
def sentinel() -> Iterator[Sentinel]:
    """Two servers and the sentinel that watches them."""
    with Sentinel() as sentinel:
        yield sentinel
