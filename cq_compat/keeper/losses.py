"""Notices that the layer has lost messages: its epoch has changed, or a queue has not what it
should have.
"""

from __future__ import annotations

from time import monotonic

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import LayerDuty
from cq_compat.keeper.ringing import Ringing
from cq_compat.mirror import Route, Wait
from cq_compat.signals import messages_lost
from cq_transport.layers.base import TaskLayer

logger = get_logger(__name__)

#: Seconds after which a message that was sent, and that nobody has claimed, must be in its queue.
SETTLED = 5.0
#: Seconds after which a message is sent again that an exchange leads to queues that this process
#: need not know, so that it cannot ask whether they are empty.
LONG = 300.0
#: Seconds between two looks for rows that say only now that they were sent before the epoch:
#: their publisher was slow to note it.
LATE = 10.0


class LossWatch(LayerDuty):
    """What the watches have in common.

    Args:
        ringing: sends what was lost.
    """

    def __init__(
        self, broker: str, layer: TaskLayer, connection: OwnConnection, ringing: Ringing
    ) -> None:
        super().__init__(broker, layer, connection)
        self._ringing = ringing

    def _note(self, count: int, reason: str, queue: str | None = None) -> None:
        self._ringing.hurry()
        messages_lost.tell(broker=self.broker, queue=queue, reason=reason, count=count)


class EpochWatch(LossWatch):
    """Compares the layer's epoch with the one that was noted last."""

    interval = 1.0
    _known: str | None = None
    _changed_at = _next_look = 0.0

    def run_once(self) -> bool:
        """Have everything sent again that was sent in an earlier epoch.

        Raises:
            LayerUnreachable: the layer is away.
        """
        epoch = self.layer.epoch()
        if epoch is not None and epoch != self._known:
            if self.mirror.begin_epoch(self.broker, epoch):
                self._changed_at, self._next_look = monotonic(), 0.0
            self._known = epoch
        if monotonic() >= self._next_look:
            self._send_again()
        return False

    def _send_again(self) -> None:
        is_fresh = monotonic() < self._changed_at + LATE  # most notes that are late come then
        self._next_look = monotonic() + (self.interval if is_fresh else LATE)
        if lost := self.mirror.unsend_lost(self.broker):
            logger.warning("The channel layer has lost its messages; %d are sent again.", lost)
            self._note(lost, "epoch")


class QueueWatch(LossWatch):
    """Looks for tasks that were sent and that should have been taken, or that wait nowhere."""

    interval = SETTLED

    def run_once(self) -> bool:
        """Have what is missing sent again.

        Raises:
            LayerUnreachable: the layer is away.
        """
        for wait in self.mirror.waits(self.broker, SETTLED):
            if (found := self._loss(wait)) is not None:
                self._send_again(wait.route, *found)
        return False

    def _loss(self, wait: Wait) -> tuple[str, float] | None:
        """Return why messages are lost, and the age from which on they are."""
        route = wait.route
        if not route.exchange and self.layer.size(route.queue) == 0:
            return "empty", SETTLED
        # Queues keep their order: a worker has taken it, and has died before it claimed it.
        if wait.taken is not None and wait.longest > wait.taken + SETTLED:
            return "overtaken", wait.taken + SETTLED
        if route.exchange and wait.longest > LONG:
            return "old", LONG
        return None

    def _send_again(self, route: Route, reason: str, age: float) -> None:
        lost = self.mirror.unsend_route(self.broker, route, age)
        if lost:
            logger.warning(
                "Queue %r has lost messages (%s); %d are sent again.", route.queue, reason, lost
            )
            self._note(lost, reason, route.queue)
