"""Which broker a process uses, as a row names it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery import current_app
from kombu.utils.url import maybe_sanitize_url

from cq_compat.sightings import Route
from cq_transport.errors import LayerMisconfigured
from cq_transport.options import SCHEME, Address


def write_broker() -> str:
    """Return the broker that the current app publishes to."""
    return broker_name(_first(current_app.conf.broker_write_url))


def read_broker(app: Any = current_app) -> str:
    """Return the broker that an app's workers consume from."""
    return broker_name(_first(app.conf.broker_read_url))


@lru_cache(maxsize=32)
def broker_name(url: str) -> str:
    """Return a broker's URL without its password."""
    if url.startswith(f"{SCHEME}:"):
        try:
            return str(Address.parse(url))
        except LayerMisconfigured:
            return url
    return str(maybe_sanitize_url(url))


def route_of(broker: str, exchange: Any, queue: Any, priority: Any = None) -> Route:
    """Return a route from what a signal says of it."""
    return Route(broker, name_of(exchange), str(queue or ""), int(priority or 0))


def is_broadcast(exchange: Any) -> bool:
    """Tell whether every worker gets a copy of what goes to ``exchange``: no single row could
    tell what became of it.
    """
    name = name_of(exchange)
    if not name:
        return False
    queues = current_app.amqp.queues.values()
    return any(
        found.exchange is not None and found.exchange.name == name
        for found in queues
        if found.exchange is not None and found.exchange.type == "fanout"
    )


def name_of(exchange: Any) -> str:
    """Return the name of an exchange, be it the name or the exchange itself."""
    return str(getattr(exchange, "name", exchange) or "")


def _first(urls: Any) -> str:
    found = urls.split(";") if isinstance(urls, str) else list(urls or ())
    return found[0] if found else ""
