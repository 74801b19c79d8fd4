"""System checks for what would silently lose tasks; each names the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import current_app
from channels.layers import BaseChannelLayer, channel_layers
from django.core.checks import CheckMessage, Error, Warning, register

from cq_transport.errors import LayerMisconfigured, LayerUnreachable
from cq_transport.layers import find_layer, is_memory, is_postgres, is_pubsub, is_redis
from cq_transport.naming import channel_name
from cq_transport.options import SCHEME, Address, Options

#: Seconds below which ``expiry`` is taken for one that was meant for websocket messages.
SHORT_EXPIRY = 3600
#: Messages below which ``capacity`` is taken for one that was meant for websocket messages.
SMALL_CAPACITY = 1000
POSTGRES = "channels_postgres.core.PostgresChannelLayer"
#: Seconds to wait for a Redis host's answer about its eviction policy.
HOST_TIMEOUT = 1.0


@register("cq")
def check_broker(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check every ``channels://`` URL that the current Celery app uses as its broker."""
    return [message for url in _broker_urls() for message in _check_url(url)]


def _broker_urls() -> list[str]:
    conf = current_app.conf
    found: list[str] = []
    for urls in (conf.broker_read_url, conf.broker_write_url):
        for url in urls.split(";") if isinstance(urls, str) else urls or ():
            if url.startswith(f"{SCHEME}:") and url not in found:
                found.append(url)
    return found


def _check_url(url: str) -> Iterator[CheckMessage]:
    try:
        address = Address.parse(url)
        Options.parse(current_app.conf.broker_transport_options or {})
    except (LayerMisconfigured, TypeError) as exc:
        yield Error(f"The broker {url} cannot be used: {exc}", id="cq.E001")
        return
    try:
        layer = find_layer(address.alias)
    except LayerMisconfigured as exc:
        yield Error(
            f"The broker {address} has no channel layer: {exc}",
            hint=f"Add {address.alias!r} to CHANNEL_LAYERS, with the BACKEND "
            "'channels_redis.core.RedisChannelLayer'.",
            id="cq.E002",
        )
        return
    except Exception as exc:  # whatever a layer's constructor makes of its CONFIG
        yield Error(
            f"The channel layer of the broker {address} cannot be made: {exc!r}",
            hint=f"Mend CHANNEL_LAYERS[{address.alias!r}]['CONFIG']. That of "
            "'channels_postgres.core.PostgresChannelLayer' needs all of HOST, PORT, NAME, USER, "
            "PASSWORD and TIME_ZONE, be they empty, and 'channels_postgres' in INSTALLED_APPS.",
            id="cq.E007",
        )
        return
    if is_pubsub(layer):
        yield Error(
            f"The broker {address} uses a RedisPubSubChannelLayer, which keeps no messages for "
            "workers that are away.",
            hint="Give tasks an alias of their own with the BACKEND "
            "'channels_redis.core.RedisChannelLayer'.",
            id="cq.E003",
        )
        return
    yield from _check_layer(address, layer)


def _check_layer(address: Address, layer: BaseChannelLayer) -> Iterator[CheckMessage]:
    config = f"CHANNEL_LAYERS[{address.alias!r}]['CONFIG']"
    if is_memory(layer):
        yield Warning(
            f"The broker {address} lives in the memory of one process.",
            hint="Workers in other processes, and the children of a prefork pool, never see its "
            "tasks. Use it for tests only.",
            id="cq.W001",
        )
    if layer.expiry < SHORT_EXPIRY:
        yield Warning(
            f"The broker {address} deletes messages that have waited {layer.expiry} seconds.",
            hint=f"Set {config}['expiry'] to more seconds than a task may ever wait, such as "
            "1209600 (two weeks).",
            id="cq.W002",
        )
    capacity = layer.get_capacity(
        channel_name(address.namespace, current_app.conf.task_default_queue)
    )
    if (is_redis(layer) or is_memory(layer)) and capacity < SMALL_CAPACITY:
        yield Warning(
            f"The broker {address} holds {capacity} messages a queue; publishing more fails.",
            hint=f"Set {config}['capacity'] to more tasks than may ever wait, such as 100000.",
            id="cq.W003",
        )
    if is_redis(layer):
        yield from _check_hosts(address, layer)
    if is_postgres(layer):
        yield from _check_tables(address)


def _check_tables(address: Address) -> Iterator[CheckMessage]:
    configs = {alias: entry.get("CONFIG", {}) for alias, entry in channel_layers.configs.items()}
    own = configs.get(address.alias, {})
    others = [
        alias
        for alias, config in configs.items()
        if alias != address.alias
        and channel_layers.configs[alias].get("BACKEND") == POSTGRES
        and all(config.get(key) == own.get(key) for key in ("HOST", "PORT", "NAME"))
    ]
    if others:
        yield Warning(
            f"The broker {address} and the channel layer {', '.join(map(repr, others))} share the "
            "tables of one database: a process that listens to the latter takes tasks, too.",
            hint="Give websockets a Redis layer, or another database.",
            id="cq.W009",
        )


def _check_hosts(address: Address, layer: BaseChannelLayer) -> Iterator[CheckMessage]:
    from cq_transport.layers.redis.health import SAFE_POLICY, eviction_policies

    try:
        policies = set(eviction_policies(layer, HOST_TIMEOUT)) - {SAFE_POLICY}
    except LayerUnreachable:
        return  # a check must pass where there is no Redis, as in a build
    if policies:
        yield Warning(
            f"The Redis behind {address} has the eviction policy {', '.join(sorted(policies))}: "
            "when memory is short it drops tasks without a word.",
            hint=f"Set 'maxmemory-policy {SAFE_POLICY}' in its configuration.",
            id="cq.W004",
        )
