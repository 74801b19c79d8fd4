"""Which channel layer serves as a broker in which way.

- ``RedisChannelLayer``: its keys are popped and filled by scripts, each atomic and one round trip
(``redis``).
- ``PostgresChannelLayer``: its tables are read and written by statements, likewise (``postgres``).
- every other layer: through the public API of Channels, on an event loop of our own (``public``).
"""

from __future__ import annotations

import sys
import threading

from channels import layers as channels_layers
from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from django.core.exceptions import ImproperlyConfigured

from cq_transport.errors import LayerMisconfigured
from cq_transport.layers.base import TaskLayer
from cq_transport.options import Address, Options

_lock = threading.Lock()
_task_layers: dict[tuple[BaseChannelLayer, str, Options], TaskLayer] = {}


def task_layer(address: Address, options: Options) -> TaskLayer:
    """Return this process's broker on the layer that ``address`` names.

    Raises:
        LayerMisconfigured: there is no such layer, or it cannot hold tasks.
    """
    layer = find_layer(address.alias)
    if is_pubsub(layer):
        raise LayerMisconfigured(
            f"The channel layer {address.alias!r} is a RedisPubSubChannelLayer, which keeps no "
            "messages for workers that are away and so would lose tasks. Give tasks a layer of "
            "their own with BACKEND 'channels_redis.core.RedisChannelLayer'."
        )
    key = (layer, address.namespace, options)
    with _lock:
        if key not in _task_layers:
            _task_layers[key] = _adapt(layer, address.namespace, options)
        return _task_layers[key]


def find_layer(alias: str) -> BaseChannelLayer:
    """Return the channel layer of an alias; case is ignored where that leaves one, as kombu lowers
    host names.

    Raises:
        LayerMisconfigured: there is none.
    """
    try:
        configured = list(channels_layers.channel_layers.configs)
    except ImproperlyConfigured as exc:
        raise LayerMisconfigured(
            "channels:// finds its layer in Django's CHANNEL_LAYERS: "
            "set DJANGO_SETTINGS_MODULE before the broker is used."
        ) from exc
    if alias not in configured:
        alike = [name for name in configured if name.lower() == alias.lower()]
        if len(alike) != 1:
            known = ", ".join(map(repr, sorted(configured))) or "none at all"
            raise LayerMisconfigured(
                f"CHANNEL_LAYERS has no alias {alias!r} (there is {known}). "
                f"Add it, or name another in the broker URL: channels://ALIAS."
            )
        alias = alike[0]
    layer: BaseChannelLayer = channels_layers.channel_layers[alias]
    return layer


def is_pubsub(layer: BaseChannelLayer) -> bool:
    """Tell whether a layer keeps no messages for receivers that are away."""
    return any(cls.__module__.startswith("channels_redis.pubsub") for cls in type(layer).__mro__)


def is_memory(layer: BaseChannelLayer) -> bool:
    """Tell whether a layer lives in the memory of one process."""
    return isinstance(layer, InMemoryChannelLayer)


def is_redis(layer: BaseChannelLayer) -> bool:
    """Tell whether a layer keeps its messages as ``RedisChannelLayer`` does."""
    core = sys.modules.get("channels_redis.core")
    if core is None or not isinstance(layer, core.RedisChannelLayer):
        return False
    stock = core.RedisChannelLayer
    return all(getattr(type(layer), name) is getattr(stock, name) for name in ("send", "receive"))


def is_postgres(layer: BaseChannelLayer) -> bool:
    """Tell whether a layer keeps its messages as ``PostgresChannelLayer`` does."""
    core = sys.modules.get("channels_postgres.core")
    if core is None or not isinstance(layer, core.PostgresChannelLayer):
        return False
    stock = core.PostgresChannelLayer
    return all(getattr(type(layer), name) is getattr(stock, name) for name in ("send", "receive"))


def _adapt(layer: BaseChannelLayer, namespace: str, options: Options) -> TaskLayer:
    if is_redis(layer):
        from cq_transport.layers.redis.layer import RedisTaskLayer

        return RedisTaskLayer(layer, namespace, options)
    if is_postgres(layer):
        from cq_transport.layers.postgres.layer import PostgresTaskLayer

        return PostgresTaskLayer(layer, namespace, options)
    from cq_transport.layers.public.layer import PublicTaskLayer

    return PublicTaskLayer(layer, namespace, options)
