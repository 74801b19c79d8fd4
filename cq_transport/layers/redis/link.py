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
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.sentinel import Sentinel, SentinelConnectionPool

from cq_transport.errors import LayerUnreachable
from cq_transport.layers.redis import scripts

#: Answers that mean "not this server, not now": reconnecting finds the right one.
_WRONG_SERVER = (BusyLoadingError, MasterDownError, ReadOnlyError)
#: What redis-py raises from a lost socket; the last three when another thread has just closed it.
_LOST = (RedisError, OSError, AttributeError, TypeError, ValueError)


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

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        self._make_connection = make_connection
        self._packer = make_connection()  # never connected: what it packs suits every connection
        self._connection: Any = None
        self._is_lost = False

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        connection = self._connection
        return not self._is_lost and connection is not None and connection._sock is not None

    def connect(self) -> None:
        """Connect and load the scripts.

        Raises:
            LayerUnreachable: the host does not answer, or refuses us.
        """
        self.close()
        connection = self._make_connection()
        try:
            connection.connect()
            loads = [("SCRIPT", "LOAD", script.source) for script in scripts.ALL]
            connection.send_packed_command(connection.pack_commands(loads), check_health=False)
            for _ in loads:
                connection.read_response(disable_decoding=True)
            self._connection, self._is_lost = connection, False
        except (RedisError, OSError) as exc:
            connection.disconnect()
            raise LayerUnreachable(f"the channel layer's Redis is unreachable: {exc}") from exc

    def pack(self, *command: Any) -> Any:
        """Return ``command`` in Redis' protocol."""
        return self._packer.pack_command(*command)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return int(self._connection._sock.fileno())

    def write(self, packed: Any) -> None:
        """Send a packed command.

        Raises:
            LayerUnreachable: the connection is lost.
        """
        connection = self._connection
        sock = None if connection is None or self._is_lost else connection._sock
        if sock is None:
            raise LayerUnreachable("the connection to the channel layer's Redis is lost")
        try:
            # Not by redis-py's own method: on a socket that the reading thread has just found
            # closed, it would connect anew, and answers would meet the wrong requests.
            for part in (packed,) if isinstance(packed, (bytes, str)) else packed:
                sock.sendall(part)
        except _LOST as exc:
            self._is_lost = True
            raise LayerUnreachable(
                f"the connection to the channel layer's Redis is lost: {exc}"
            ) from exc

    def readable(self, timeout: float = 0.0) -> bool:
        """Wait up to ``timeout`` seconds for an answer, or for the end of the connection."""
        if not self.is_connected:
            return True
        try:
            return bool(self._connection.can_read(timeout))
        except _LOST:
            return True

    def read(self) -> Any:
        """Return the next answer; an error answer is returned, not raised.

        Raises:
            LayerUnreachable: the connection is lost, or leads to a server that cannot serve us now.
        """
        if not self.is_connected:
            raise LayerUnreachable("the connection to the channel layer's Redis is lost")
        try:
            return self._connection.read_response(disable_decoding=True, disconnect_on_error=False)
        except _WRONG_SERVER as exc:
            self._is_lost = True  # the answer is taken, so the next one is another request's
            raise LayerUnreachable(f"the channel layer's Redis cannot serve: {exc}") from exc
        except ResponseError as exc:
            return exc
        except _LOST as exc:
            self._is_lost = True
            raise LayerUnreachable(
                f"the connection to the channel layer's Redis is lost: {exc}"
            ) from exc

    def close(self) -> None:
        """Close the connection; in a forked child without disturbing the parent's."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
