"""What a reader asks of Redis."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from cq_transport.layers.redis.keys import Keys
from cq_transport.layers.redis.scripts import POP

#: Seconds that Redis holds a waiting reader; afterwards the answer shows that the connection lives,
#: and what came without a bell is found.
WAIT_TIMEOUT = 1
#: Seconds for which Redis keeps the last batch for a reader that lost its connection.
BATCH_KEPT = 300

Command = tuple[Any, ...]


class Source(NamedTuple):
    """A channel that is read."""

    queue: str
    priority: int
    key: str


class Pop(NamedTuple):
    """A request for up to ``room`` messages; repeated, it brings the same ones again."""

    command: Command
    channels: Sequence[Source]
    room: int


class Questions:
    """Makes the requests of one reader.

    Args:
        keys: the key names.
        priorities: all priorities, most urgent first.
    """

    def __init__(self, keys: Keys, priorities: Sequence[int]) -> None:
        self._keys = keys
        self._priorities = priorities
        name = uuid.uuid4().hex
        self.wake_key = keys.wake(name)
        self._batch_key = keys.batch(name)
        self._number = 0
        self.queues: list[str] = []
        self._channels: list[Source] = []
        #: Sleeps until a bell rings, or somebody wakes the reader.
        self.wait: Command = ()

    def follow(self, queues: Sequence[str]) -> None:
        """Ask for the messages of these queues from now on."""
        self.queues = list(queues)
        bells = [self._keys.bell(queue) for queue in queues]
        self.wait = ("BZPOPMIN", self.wake_key, *bells, WAIT_TIMEOUT)
        self._order()

    def pop(self, room: int) -> Pop:
        """Return the next request for messages."""
        self._number += 1
        if len(self.queues) > 1:  # no queue is first among its equals for ever
            self.queues.append(self.queues.pop(0))
            self._order()
        keys = [key for _, _, key in self._channels]
        command = (
            *("EVALSHA", POP.sha, len(keys) + 1, self._batch_key, *keys),
            *(self._number, room, BATCH_KEPT),
        )
        return Pop(command, self._channels, room)

    def _order(self) -> None:
        self._channels = [
            Source(queue, priority, self._keys.channel(queue, priority))
            for priority in self._priorities
            for queue in self.queues
        ]
