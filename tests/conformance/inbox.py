"""A consumer that keeps what it gets, with deadlines in place of sleeps."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from kombu import Connection, Consumer, Message, Queue

ACCEPT = ["json", "pickle", "yaml", "msgpack", "application/octet-stream", "text/plain"]
#: Seconds that a case waits for what must come.
PATIENCE = 15.0
#: Seconds without a message after which nothing more is expected.
QUIET = 0.25


class Inbox:
    """Consumes `queues` on a channel of its own.

    `prefetch` 0 is no limit. With `ack` every message is acknowledged as it is taken out of the
    inbox; with `no_ack` the broker expects none.
    """

    def __init__(
        self,
        connection: Connection,
        *queues: Queue,
        prefetch: int = 0,
        ack: bool = True,
        no_ack: bool = False,
    ) -> None:
        self.connection = connection
        self.ack = ack and not no_ack
        self.arrived: deque[Message] = deque()
        self.channel = connection.channel()
        self.consumer = Consumer(
            self.channel,
            list(queues),
            no_ack=no_ack,
            accept=ACCEPT,
            on_message=self.arrived.append,
            auto_declare=True,
        )
        if prefetch:
            self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def messages(self, count: int, timeout: float = PATIENCE) -> list[Message]:
        """Return the next `count` messages. Raises: AssertionError when they do not come."""
        deadline = time.monotonic() + timeout
        found: list[Message] = []
        while len(found) < count:
            if self.arrived:
                found.append(self._take())
                continue
            left = deadline - time.monotonic()
            bodies = [message.payload for message in found[:20]]
            assert left > 0, f"{len(found)} of {count} messages came, the first ones {bodies}"
            self.drain(left)
        return found

    def take(self, count: int = 1, timeout: float = PATIENCE) -> list[Any]:
        """Return the bodies of the next `count` messages."""
        return [message.payload for message in self.messages(count, timeout)]

    def until(self, body: Any) -> list[Any]:
        """Return the bodies of the messages before one with `body`, and take that one too."""
        bodies = []
        while (found := self.take()[0]) != body:
            bodies.append(found)
        return bodies

    def drain(self, timeout: float) -> None:
        """Wait for events once, at most `timeout` seconds."""
        try:
            self.connection.drain_events(timeout=timeout)
        except TimeoutError:
            pass

    def settle(self) -> "Inbox":
        """Let the consumer begin; a broker that subscribes when it is first drained needs that."""
        self.drain(0.01)
        return self

    def rest(self) -> list[Any]:
        """Return the bodies of what comes until nothing has come for a moment."""
        bodies: list[Any] = []
        while True:
            bodies += [self._take().payload for _ in range(len(self.arrived))]
            self.drain(QUIET)
            if not self.arrived:
                return bodies

    def close(self) -> None:
        """Close the channel: what is not acknowledged goes back."""
        self.channel.close()

    def _take(self) -> Message:
        message = self.arrived.popleft()
        if self.ack:
            message.ack()
        return message

    def __enter__(self) -> "Inbox":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def declare(connection: Connection, *queues: Queue) -> Sequence[Queue]:
    """Declare queues with their exchanges and bindings, and return them bound."""
    bound = [queue(connection.default_channel) for queue in queues]
    for queue in bound:
        queue.declare()
    return bound
