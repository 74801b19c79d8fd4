"""What a channel consumes: its consumers, the messages that wait for them, and the reader that
brings more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from kombu.log import get_logger

from cq_transport.claiming import Claiming
from cq_transport.errors import LedgerUnavailable, TransportError
from cq_transport.layers.base import Delivery, Reader
from cq_transport.message import Message

if TYPE_CHECKING:
    from cq_transport.channel import Channel

logger = get_logger(__name__)

#: Messages that are taken in advance where the prefetch count is not limited.
UNLIMITED = 64
#: A request for fewer messages than this, and than half of the window, lingers for more
#: acknowledgements.
BATCH = 16
#: Seconds that it lingers; more, if the ledger has patience.
LINGER = 0.002
#: Seconds of deliveries in one turn of the event loop: a solo pool runs tasks inside them, and
#: shutdown, timers and remote control wait for the end of the turn.
TURN = 0.05
#: Seconds between two attempts to claim messages while the ledger is away.
CLAIM_PAUSE = 1.0


class Subscription(NamedTuple):
    """A consumer of one queue."""

    queue: str
    no_ack: bool
    callback: Callable[[Message], Any] | None


class Inbox:
    """Takes messages within the channel's window and gives them to its consumers.

    Args:
        channel: whose inbox it is.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._transport = channel.connection
        self._watcher = channel.connection.watcher
        self._subscriptions: dict[str, Subscription] = {}
        self._waiting: deque[Delivery] = deque()
        self._unclaimed: list[Delivery] = []
        self._claiming = Claiming(channel.claim, self._watcher, self._claimed)
        self._next_claim = 0.0
        self._reader: Reader | None = None
        self._changed = False
        self._holding = False
        self._going_on = False
        self._rank = {prio: rank for rank, prio in enumerate(channel.connection.options.priorities)}

    @property
    def tags(self) -> list[str]:
        """The tags of the consumers."""
        return list(self._subscriptions)

    @property
    def queues(self) -> list[str]:
        """The queues that are consumed, each once."""
        return list(dict.fromkeys(found.queue for found in self._subscriptions.values()))

    @property
    def is_connected(self) -> bool:
        """Whether the reader reaches the layer."""
        return self._reader is not None and self._reader.is_connected

    def add(
        self, tag: str, queue: str, no_ack: bool, callback: Callable[[Message], Any] | None
    ) -> None:
        """Add a consumer; reading begins at the next turn."""
        self._subscriptions[tag] = Subscription(queue, no_ack, callback)
        self._changed = True

    def remove(self, tag: str) -> str | None:
        """Remove a consumer; return its queue if nobody else here consumes it."""
        subscription = self._subscriptions.pop(tag, None)
        if subscription is None or subscription.queue in self.queues:
            return None
        self._changed = True
        self._stop_reading()
        return subscription.queue

    # The reader's side

    def window(self) -> int:
        """Return the prefetch count."""
        return self._channel.qos.prefetch_count

    def room(self) -> int:
        """Return how many more messages may be taken now; negative if there are too many."""
        qos = self._channel.qos
        taken = len(self._waiting) + len(self._unclaimed) + len(self._claiming.batch)
        if qos.is_overridden:  # how many it will allow is not known: one at a time
            return (1 if qos.can_consume() else 0) - taken
        return qos.prefetch_count - len(qos) - taken if qos.prefetch_count else UNLIMITED - taken

    def linger(self, room: int) -> float:
        """Return the seconds for which a request for so many messages waits until there is room
        for more.
        """
        if room >= BATCH or 2 * room >= self.window():
            return 0.0
        return max(LINGER, self._channel.ledger.patience)

    def arrived(self, deliveries: Sequence[Delivery]) -> None:
        """Take over messages; a surplus goes back into its queue."""
        self._unclaimed.extend(deliveries)
        if self._holding:
            return
        self._claim()
        self._advance()

    def _claimed(self) -> None:
        self._end_claim()
        if not self._holding:
            self._claim()  # what has gathered meanwhile
            self._advance()

    def _advance(self) -> None:
        while self._waiting and self.room() < 0:
            self._restore(self._waiting.pop())
        self.pump()
        if self._watcher.has_hub:
            self.deliver()

    # The consumers' side

    def fill(self, eager: bool = False) -> None:
        """Claim what could not be claimed yet, and let the reader fill the window."""
        if not self._holding:
            self._claim()
        self.pump(eager)

    def pump(self, eager: bool = False) -> None:
        """Let the reader fill the window; a pool's threads say so as well."""
        if self._changed:
            self._start_reading()
        if self._reader is not None and self._subscriptions and not self._holding:
            self._reader.pump(eager)

    def deliver(self) -> None:
        """Deliver what is waiting, for one turn of the event loop."""
        self._going_on = False
        end = monotonic() + TURN
        while self.deliver_one():
            if self._waiting and monotonic() > end:
                self._go_on()
                break
        self._transport.stir()

    def deliver_one(self) -> bool:
        """Deliver one message if one is waiting and the window is open; tell whether one was."""
        while self._waiting and self._channel.qos.can_consume():
            delivery = self._waiting.popleft()
            subscription = self._subscription_for(delivery.queue)
            if subscription is None:
                self._restore(delivery)
                continue
            message = self._channel.open(delivery)
            if message is None:
                continue
            if not subscription.no_ack:
                self._channel.qos.append(message)
            if subscription.callback is not None:
                subscription.callback(message)
            return True
        return False

    def turn(self) -> None:
        """Do what is due at each turn of the event loop."""
        self.fill()
        if self._waiting and not self._going_on:
            self.deliver()

    def tick(self) -> None:
        """Let the reader look after its deadlines."""
        if self._reader is not None:
            self._reader.tick()

    def close(self) -> None:
        """Stop reading for good; what was not delivered goes back."""
        self._stop_reading()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._claiming.close()

    def _claim(self) -> None:
        if not self._unclaimed or self._claiming.batch or monotonic() < self._next_claim:
            return
        arrived, self._unclaimed = self._unclaimed, []
        may_go_on = self._watcher.has_hub and self._channel.ledger.is_durable
        if not (may_go_on and self._claiming.begin(arrived)):
            self._take_over(arrived, partial(self._channel.claim, arrived))

    def _end_claim(self) -> None:
        if self._claiming.batch:
            self._take_over(self._claiming.batch, self._claiming.end)

    def _take_over(self, arrived: Sequence[Delivery], claim: Callable[[], list[Delivery]]) -> None:
        try:
            claimed = claim()
        except LedgerUnavailable as exc:
            self._unclaimed = [*arrived, *self._unclaimed]
            self._next_claim = monotonic() + CLAIM_PAUSE
            logger.warning("%d messages wait to be claimed: %s", len(arrived), exc)
            return
        if self._waiting and claimed:  # the more urgent overtake those that are waiting
            self._waiting = deque(sorted((*self._waiting, *claimed), key=self._urgency))
        else:
            self._waiting.extend(claimed)

    def _urgency(self, delivery: Delivery) -> int:
        return self._rank[delivery.priority]

    def _go_on(self) -> None:
        if not self._going_on:
            self._going_on = True
            self._watcher.call_soon(self.deliver)

    def _subscription_for(self, queue: str) -> Subscription | None:
        found = [tag for tag, other in self._subscriptions.items() if other.queue == queue]
        if not found:
            return None
        if len(found) > 1:  # the next message is the next consumer's
            self._subscriptions[found[0]] = self._subscriptions.pop(found[0])
            return self._subscriptions[found[0]]
        return self._subscriptions[found[0]]

    def _start_reading(self) -> None:
        self._changed = False
        if self._reader is None:
            if not self._subscriptions:
                return
            self._reader = self._channel.layer.reader(self, self._watcher)
        self._hold()
        self._reader.consume(self.queues)
        self._holding = False
        if self._channel.ledger.is_durable:  # what was declared is not known to the layer yet
            with suppress(TransportError):
                self._channel.layer.renew(self.queues)

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._hold()
            self._reader.stop()
            self._holding = False
        self._end_claim()
        self._put_back()

    def _hold(self) -> None:
        # What the reader hands over while it stops is not delivered in the middle of that.
        self._holding = True

    def _put_back(self) -> None:
        consumed = set(self.queues)
        back = [
            found for found in (*self._waiting, *self._unclaimed) if found.queue not in consumed
        ]
        self._waiting = deque(found for found in self._waiting if found.queue in consumed)
        self._unclaimed = [found for found in self._unclaimed if found.queue in consumed]
        for delivery in back:
            self._restore(delivery)

    def _restore(self, delivery: Delivery) -> None:
        try:
            self._channel.restore(delivery)
        except TransportError as exc:
            logger.error("A message of queue %r could not be handed back: %s", delivery.queue, exc)
