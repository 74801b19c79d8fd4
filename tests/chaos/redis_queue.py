"""The messages of a queue, as a Redis channel layer has them."""

from __future__ import annotations

import os

from cq_transport.naming import channel_name
from tests.servers.redis import RedisServer

#: Bytes with which channels_redis makes equal messages different.
PREFIX = 12


class RedisQueue:
    """The channel of a queue without priorities.

    Args:
        prefix: the layer's.
    """

    def __init__(self, server: RedisServer, name: str, *, prefix: str = "asgi") -> None:
        self._server = server
        self._key = prefix + channel_name("", name)

    def size(self) -> int:
        """Return how many messages wait."""
        return int(self._server.run("ZCARD", self._key))

    def messages(self) -> list[bytes]:
        """Return the messages that wait."""
        found: list[bytes] = self._server.run("ZRANGE", self._key, 0, -1)
        return found

    def pop(self) -> bytes:
        """Return the first message, taken as by a worker that dies before it claims it."""
        message: bytes
        [(message, _)] = self._server.run("ZPOPMIN", self._key)
        return message

    def add(self, messages: list[bytes]) -> None:
        """Put copies of messages at the end."""
        now = float(self._server.run("TIME")[0])
        for message in messages:
            copy = os.urandom(PREFIX) + message[PREFIX:]
            self._server.run("ZADD", self._key, now, copy)
