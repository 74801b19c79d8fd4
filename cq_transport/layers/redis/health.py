"""Asks the Redis hosts of a layer whether they may drop messages."""

from __future__ import annotations

from typing import Any

from cq_transport.layers.redis.link import Link, connection_factory

SAFE_POLICY = "noeviction"


def eviction_policies(layer: Any, timeout: float) -> list[str]:
    """Return the ``maxmemory-policy`` of each host of a ``RedisChannelLayer``.

    Args:
        timeout: seconds to wait for a host.

    Raises:
        LayerUnreachable: a host does not answer.
    """
    return [_eviction_policy(Link(connection_factory(host, timeout))) for host in layer.hosts]


def _eviction_policy(link: Link) -> str:
    link.connect()
    try:
        link.write(link.pack("INFO", "memory"))
        answer = link.read()
    finally:
        link.close()
    lines = answer.decode().splitlines() if isinstance(answer, bytes) else []
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return found.get("maxmemory_policy", SAFE_POLICY)
