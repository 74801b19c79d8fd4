"""One Redis host of a layer."""

from __future__ import annotations

import uuid
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.layers.redis.keys import Keys
from cq_transport.layers.redis.link import connection_factory
from cq_transport.layers.redis.pipe import Pipe
from cq_transport.layers.redis.publisher import Publisher
from cq_transport.options import Options

#: Seconds for which a wake-up that nobody needed any more is kept.
WAKE_KEPT = 10


class Host:
    """How to connect to a host, and the connection that publishes and asks."""

    def __init__(self, host: dict[str, Any], keys: Keys, options: Options) -> None:
        self.make_connection = connection_factory(host, options.publish_timeout)
        self.pipe = Pipe(self.make_connection, options.publish_timeout)
        self.publisher = Publisher(self.pipe, keys.publisher, options)

    def call(self, *command: Any) -> Any:
        """Send one command and return its answer; raises like ``call_all``."""
        return self.call_all([command])[0]

    def call_all(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one round trip and return their answers.

        Raises:
            LayerUnreachable: the host does not answer, or has no memory left.
            TransportError: it refuses a command.
        """
        try:
            return self.pipe.call_all(commands)
        except OutOfMemoryError as exc:  # as absence: a worker waits for its end, it does not die
            raise LayerUnreachable(f"the channel layer's Redis has no room: {exc}") from exc
        except ResponseError as exc:
            raise TransportError(f"the channel layer's Redis refuses: {exc}") from exc

    def epoch(self, key: str) -> str:
        """Return the server's run id with the marker under ``key``, which is set if it is not."""
        _, marker, info = self.call_all(
            [("SET", key, uuid.uuid4().hex, "NX"), ("GET", key), ("INFO", "server")]
        )
        run_id = next(line for line in info.decode().splitlines() if line.startswith("run_id:"))
        return f"{run_id[7:19]}-{marker.decode()[:12]}"

    def wake(self, key: str) -> None:
        """End the wait of the reader that listens on ``key``."""
        self.call_all([("ZADD", key, 0, b"wake"), ("EXPIRE", key, WAKE_KEPT)])
