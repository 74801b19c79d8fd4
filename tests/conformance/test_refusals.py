"""What cannot work is refused at once, with words that say what to change."""

import pytest
from django.test import override_settings
from kombu import Connection, Queue
from kombu.exceptions import KombuError

from tests.conformance.backends import MEMORY_LAYER
from tests.conformance.broker import send
from tests.conformance.watchdog import ends


def refusal(url: str, **options: object) -> str:
    """Return the words with which a publisher is refused."""
    with (
        Connection(url, transport_options=options) as connection,
        pytest.raises(KombuError) as caught,
    ):
        ends(lambda: send(connection, "queue", "message", declare=[Queue("queue")]))
    return str(caught.value)


def test_pubsub_layer_is_refused() -> None:
    words = refusal("channels://pubsub")

    assert "pubsub" in words
    assert "channels_redis.core.RedisChannelLayer" in words


def test_unknown_alias_names_the_known_ones() -> None:
    words = refusal("channels://nowhere")

    assert "nowhere" in words
    assert "redis" in words and "memory" in words and "CHANNEL_LAYERS" in words


def test_missing_layers() -> None:
    with override_settings(CHANNEL_LAYERS={}):
        assert "CHANNEL_LAYERS" in refusal("channels://")


def test_default_alias() -> None:
    layers = {"default": {"BACKEND": MEMORY_LAYER}}
    with override_settings(CHANNEL_LAYERS=layers), Connection("channels://") as connection:
        send(connection, "queue", "message", declare=[Queue("queue")])


def test_a_misconfiguration_is_not_retried() -> None:
    with Connection("channels://nowhere") as connection:
        assert not issubclass(_error_of(connection), connection.connection_errors)


def _error_of(connection: Connection) -> type[Exception]:
    with pytest.raises(KombuError) as caught:
        connection.connect()
    return caught.type


@pytest.mark.parametrize(
    "options", [{"priority_order": "amqp"}, {"publish_timeout": 0}, {"transient_capacity": 0}]
)
def test_senseless_option_is_named(options: dict[str, object]) -> None:
    assert next(iter(options)) in refusal("channels://memory", **options)
