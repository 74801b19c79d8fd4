"""`manage.py check` names what would lose tasks, and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from django.core.checks import run_checks

from cq_compat.checks import check_broker
from tests.servers.redis import RedisServer

REDIS = "channels_redis.core.RedisChannelLayer"
GOOD = {"capacity": 100_000, "expiry": 1_209_600}


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """A Celery app that is the current one, as a project's is."""
    before = current_app._get_current_object()
    app = Celery("checked", broker="channels://", set_as_current=False)
    app.set_default()
    app.set_current()
    yield app
    before.set_default()
    before.set_current()


def ids() -> list[str | None]:
    return [message.id for message in check_broker(None)]


def redis_layer(settings: Any, server: RedisServer, **config: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": REDIS, "CONFIG": {"hosts": [server.url], **GOOD, **config}}
    }


def test_a_good_layer_passes(settings: Any, redis_server: RedisServer) -> None:
    redis_layer(settings, redis_server)
    assert ids() == []


def test_the_checks_are_registered(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {}
    assert "cq.E002" in [message.id for message in run_checks()]


def test_other_brokers_are_left_alone(app: Celery, settings: Any) -> None:
    settings.CHANNEL_LAYERS = {}
    app.conf.broker_url = "redis://"
    assert ids() == []


def test_reading_and_writing_brokers_are_both_checked(
    app: Celery, settings: Any, redis_server: RedisServer
) -> None:
    redis_layer(settings, redis_server)
    app.conf.broker_write_url = "channels://missing"
    assert ids() == ["cq.E002"]


@pytest.mark.parametrize(
    ("config", "expected", "fix"),
    [
        ({"expiry": 60}, "cq.W002", "1209600"),
        ({"capacity": 100}, "cq.W003", "100000"),
        ({"channel_capacity": {"cq.*": 10}}, "cq.W003", "100000"),
    ],
)
def test_defaults_made_for_websockets(
    settings: Any, redis_server: RedisServer, config: dict[str, Any], expected: str, fix: str
) -> None:
    redis_layer(settings, redis_server, **config)
    (found,) = check_broker(None)
    assert found.id == expected
    assert fix in str(found.hint)


def test_an_eviction_policy_that_drops_tasks(settings: Any, own_redis: RedisServer) -> None:
    redis_layer(settings, own_redis)
    own_redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    (found,) = check_broker(None)
    assert found.id == "cq.W004"
    assert "allkeys-lru" in found.msg
    assert "noeviction" in str(found.hint)


def test_an_absent_redis_is_no_finding(settings: Any) -> None:
    hosts = ["unix:///nowhere/redis.sock"]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": REDIS, "CONFIG": {"hosts": hosts, **GOOD}}}
    assert ids() == []


def test_a_missing_layer(app: Celery, settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"websockets": {"BACKEND": REDIS}}
    app.conf.broker_url = "channels://tasks"
    (found,) = check_broker(None)
    assert found.id == "cq.E002"
    assert "'tasks'" in found.msg
    assert "'websockets'" in found.msg


def test_a_layer_that_keeps_nothing(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    }
    (found,) = check_broker(None)
    assert found.id == "cq.E003"
    assert REDIS in str(found.hint)


def test_the_memory_of_one_process(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": GOOD}
    }
    assert ids() == ["cq.W001"]


def test_a_bad_url_and_bad_options(app: Celery, settings: Any, redis_server: RedisServer) -> None:
    redis_layer(settings, redis_server)
    app.conf.broker_url = "channels://default/shop/extra"
    assert ids() == ["cq.E001"]
    app.conf.broker_url = "channels://"
    app.conf.broker_transport_options = {"priority_order": "amqp"}
    assert ids() == ["cq.E001"]
