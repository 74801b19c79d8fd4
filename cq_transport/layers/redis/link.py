"""One synchronous connection to one Redis host of a channel layer.

channels_redis speaks to Redis through asyncio. Celery's worker loop and Django's views are
synchronous, so the same hosts are reached here through redis-py's synchronous connection: it knows
authentication, TLS, unix sockets and Sentinel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import redis
from hiredis import HiredisError
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import BusyLoadingError, MasterDownError, ReadOnlyError, RedisError
from redis.sentinel import Sentinel, SentinelConnectionPool

from cq_transport.errors import LayerUnreachable
from cq_transport.layers.redis import scripts
from cq_transport.layers.redis.wire import Wire

#: Answers that mean "not this server, not now": reconnecting finds the right one.
_WRONG_SERVER = (BusyLoadingError, MasterDownError, ReadOnlyError)
#: What a lost connection raises: the second if it says what is not Redis' protocol, the last if
#: another thread has just closed it.
_LOST = (OSError, HiredisError, ValueError)


def connection_factory(host: Mapping[str, Any], timeout: float) -> Callable[[], Any]:
    """Return a maker of redis-py connections for one entry of ``RedisChannelLayer.hosts``.

    Args:
        host: the entry, as channels_redis decoded it.
        timeout: seconds for connecting and for a socket that accepts no data, unless the entry says
            otherwise.
    """
    kwargs = {"socket_timeout": timeout, "socket_connect_timeout": timeout, **host}
    connection_class = kwargs.get("connection_class")
    if connection_class is not None:  # an asyncio class: its synchronous twin has the same name
        kwargs["connection_class"] = getattr(redis.connection, connection_class.__name__)
    if "address" in kwargs:
        pool = redis.ConnectionPool.from_url(kwargs.pop("address"), **kwargs)
    elif "master_name" in kwargs:
        sentinel = Sentinel(
            kwargs.pop("sentinels"),
            sentinel_kwargs=kwargs.pop("sentinel_kwargs", None)
            or {"socket_timeout": timeout, "socket_connect_timeout": timeout},
        )
        pool = SentinelConnectionPool(kwargs.pop("master_name"), sentinel, **kwargs)
    else:
        pool = redis.ConnectionPool(**kwargs)
    if not issubclass(pool.connection_class, UnixDomainSocketConnection):
        pool.connection_kwargs.setdefault("socket_keepalive", True)
    # The pool only makes connections: it would count each one for ever, and after a hundred losses
    # (redis-py 8) make no more.
    pool.max_connections = sys.maxsize
    make: Callable[[], Any] = pool.make_connection
    return make


class Link:
    """A connection that sends requests and reads answers apart from each other; it never reconnects
    by itself.

    One thread may write while another reads. Whoever fails marks the link as lost, and closes
    nothing under the other's hands.
    """

    pack = staticmethod(Wire.pack)

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        self._make_connection = make_connection
        self._connection: Any = None
        self._wire: Wire | None = None
        self._is_lost = False

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        return not self._is_lost and self._wire is not None

    def connect(self) -> None:
        """Connect and load the scripts.

        Raises:
            LayerUnreachable: the host does not answer, or refuses us.
        """
        self.close()
        connection = self._make_connection()
        try:
            connection.connect()
            wire = Wire(connection._sock)
            _load_scripts(wire)
        except (RedisError, *_LOST) as exc:
            connection.disconnect()
            raise LayerUnreachable(f"the channel layer's Redis is unreachable: {exc}") from exc
        self._connection, self._wire, self._is_lost = connection, wire, False

    def fileno(self) -> int:
        """Return the socket's descriptor.

        Raises:
            LayerUnreachable: there is no connection.
        """
        return self._connected().fileno()

    def write(self, packed: bytes) -> None:
        """Send a packed command.

        Raises:
            LayerUnreachable: the connection is lost.
        """
        wire = self._connected()
        try:
            wire.send(packed)
        except _LOST as exc:
            raise self._lost(exc) from exc

    def readable(self, timeout: float = 0.0) -> bool:
        """Wait up to ``timeout`` seconds for an answer, or for the end of the connection."""
        if not self.is_connected:
            return True
        try:
            return self._connected().readable(timeout)
        except (LayerUnreachable, *_LOST):
            self._is_lost = True
            return True

    def read(self) -> Any:
        """Return the next answer; an error answer is returned, not raised.

        Raises:
            LayerUnreachable: the connection is lost, or leads to a server that cannot serve us now.
        """
        wire = self._connected()
        try:
            answer = wire.receive()
        except _LOST as exc:
            raise self._lost(exc) from exc
        if isinstance(answer, _WRONG_SERVER):
            self._is_lost = True  # the answer is taken, so the next one is another request's
            raise LayerUnreachable(f"the channel layer's Redis cannot serve: {answer}")
        return answer

    def close(self) -> None:
        """Close the connection; in a forked child without disturbing the parent's."""
        connection, self._connection = self._connection, None
        self._wire = None
        if connection is not None:
            connection.disconnect()

    def _connected(self) -> Wire:
        wire = self._wire
        if wire is None or self._is_lost:
            raise LayerUnreachable("the connection to the channel layer's Redis is lost")
        return wire

    def _lost(self, exc: Exception) -> LayerUnreachable:
        self._is_lost = True
        return LayerUnreachable(f"the connection to the channel layer's Redis is lost: {exc}")


def _load_scripts(wire: Wire) -> None:
    wire.send(b"".join(wire.pack("SCRIPT", "LOAD", script.source) for script in scripts.ALL))
    for answer in [wire.receive() for _ in scripts.ALL]:
        if isinstance(answer, Exception):
            raise answer
