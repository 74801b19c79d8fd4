"""What a broker URL and the transport options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from cq_transport.errors import LayerMisconfigured
from cq_transport.naming import DEFAULT_NAMESPACE
from cq_transport.topology import DEFAULT_LEASE

SCHEME = "channels"
DEFAULT_ALIAS = "default"
PRIORITY_ORDERS = ("redis", "rabbitmq")


@dataclass(frozen=True)
class Address:
    """Where a broker URL points: ``channels://ALIAS/NAMESPACE``."""

    alias: str = DEFAULT_ALIAS
    namespace: str = DEFAULT_NAMESPACE

    @classmethod
    def parse(cls, hostname: str | None, virtual_host: str | None = None) -> Address:
        """Read a broker URL, or the host and virtual host that kombu made of one.

        Raises:
            LayerMisconfigured: the URL holds more than an alias and a namespace.
        """
        if not hostname or "://" not in hostname:
            return cls(
                hostname or DEFAULT_ALIAS, (virtual_host or "").strip("/") or DEFAULT_NAMESPACE
            )
        parts = urlsplit(hostname)
        alias = unquote(parts.netloc.rpartition("@")[2])
        namespace = unquote(parts.path).strip("/")
        if "/" in namespace or parts.query or parts.fragment:
            raise LayerMisconfigured(
                f"{SCHEME}:// URLs have the form {SCHEME}://ALIAS/NAMESPACE; "
                "hosts, passwords and options belong into CHANNEL_LAYERS."
            )
        return cls(alias or DEFAULT_ALIAS, namespace or DEFAULT_NAMESPACE)

    def __str__(self) -> str:
        url = f"{SCHEME}://{self.alias}"
        return url if self.namespace == DEFAULT_NAMESPACE else f"{url}/{self.namespace}"


@dataclass(frozen=True)
class Options:
    """The entries of ``broker_transport_options`` that this transport reads.

    Args:
        confirm_publish: wait for the layer's answer to every message. If false, a message after a
            pause is waited for and a burst is sent without waiting; what is not answered yet is
            kept, and sent again if need be.
        publish_timeout: seconds after which an unanswered layer counts as unreachable.
        full_timeout: seconds that one publish waits for room in a full queue before ``LayerFull``.
        priority_order: ``redis`` (0 is most urgent) or ``rabbitmq`` (9 is most urgent).
        deadletter_queue: queue for messages that no binding matches; without it they are dropped.
        transient_capacity: messages that a queue of events, replies or broadcasts holds; the oldest
            make room.
        transient_lease: seconds for which such a queue outlives the last sign of life of its
            consumer, which gives one every 5 seconds; more if the queue declares ``x-expires``.
    """

    confirm_publish: bool = False
    publish_timeout: float = 5.0
    full_timeout: float = 0.2
    priority_order: str = "redis"
    deadletter_queue: str | None = None
    transient_capacity: int = 10_000
    transient_lease: float = DEFAULT_LEASE

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Options:
        """Pick this transport's entries out of ``options``; others are left to whom they concern.

        Raises:
            LayerMisconfigured: a value that means nothing.
        """
        known = {field.name for field in fields(cls)}
        parsed = cls(**{name: value for name, value in options.items() if name in known})
        if parsed.priority_order not in PRIORITY_ORDERS:
            raise LayerMisconfigured(
                f"broker_transport_options['priority_order'] is {parsed.priority_order!r}; "
                f"it must be one of {', '.join(map(repr, PRIORITY_ORDERS))}."
            )
        for name in ("publish_timeout", "transient_capacity", "transient_lease"):
            if not getattr(parsed, name) > 0:
                raise LayerMisconfigured(
                    f"broker_transport_options[{name!r}] must be greater than 0."
                )
        return parsed

    @property
    def priorities(self) -> tuple[int, ...]:
        """All priorities, most urgent first."""
        order = range(10)
        return tuple(order if self.priority_order == "redis" else reversed(order))
