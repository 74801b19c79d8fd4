"""Which broker a process uses, as a row names it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from celery import Celery, current_app
from kombu.utils.url import maybe_sanitize_url

from cq_compat.sightings import Route
from cq_transport.errors import LayerMisconfigured
from cq_transport.options import SCHEME, Address


class Brokers(NamedTuple):
    """The brokers of an app, as its rows name them."""

    write: str
    read: str


def brokers() -> Brokers:
    """Return the brokers of the current app."""
    return brokers_of(current_app._get_current_object())


@lru_cache(maxsize=8)  # as an app's settings do not change, and to read them takes long
def brokers_of(app: Celery) -> Brokers:
    """Return an app's brokers."""
    urls = (app.conf.broker_write_url, app.conf.broker_read_url)
    return Brokers(*(broker_name(_first(url)) for url in urls))


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
