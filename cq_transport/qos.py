"""The messages that a channel has delivered and that are not acknowledged yet."""

from __future__ import annotations

from cq_transport.message import Message


class QoS:
    """Counts unacknowledged messages against the prefetch count.

    Celery replaces ``can_consume`` of an instance under ``worker_disable_prefetch``; everything
    that takes messages asks it.
    """

    def __init__(self) -> None:
        #: How many messages may be unacknowledged at once; 0 is no limit.
        self.prefetch_count = 0
        self._unacked: dict[int, Message] = {}

    def __len__(self) -> int:
        return len(self._unacked)

    def can_consume(self) -> bool:
        """Tell whether another message may be delivered."""
        return not self.prefetch_count or len(self._unacked) < self.prefetch_count

    @property
    def is_overridden(self) -> bool:
        """Whether somebody else decides when another message may be delivered."""
        return "can_consume" in vars(self)

    def append(self, message: Message) -> None:
        """Begin to count a message."""
        self._unacked[message.delivery_tag] = message

    def get(self, delivery_tag: int) -> Message | None:
        """Return an unacknowledged message."""
        return self._unacked.get(delivery_tag)

    def ack(self, delivery_tag: int) -> None:
        """Stop counting a message."""
        self._unacked.pop(delivery_tag, None)

    def up_to(self, delivery_tag: int) -> list[int]:
        """Return the tags of all messages delivered until that one."""
        return [tag for tag in list(self._unacked) if tag <= delivery_tag]

    def unacked(self) -> list[Message]:
        """Return all unacknowledged messages, oldest first."""
        return list(self._unacked.values())
