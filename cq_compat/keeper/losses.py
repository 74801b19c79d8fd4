"""Notices that the layer has lost messages: its epoch has changed, or a queue is empty that should
not be.
"""

from __future__ import annotations

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.mirror import KeepingMirror
from cq_transport.layers.base import TaskLayer

logger = get_logger(__name__)

#: Seconds after which a message that was sent, and that nobody has claimed, must be in its queue.
SETTLED = 5.0


class EpochWatch:
    """Compares the layer's epoch with the one that the messages were sent in."""

    interval = 1.0

    def __init__(self, broker: str, layer: TaskLayer, connection: OwnConnection) -> None:
        self._broker = broker
        self._layer = layer
        self._connection = connection
        self._known: str | None = None

    def run_once(self) -> bool:
        """Have everything sent again if the epoch is another one.

        Raises:
            LayerUnreachable: the layer is away.
        """
        epoch = self._layer.epoch()
        if epoch is not None and epoch != self._known:
            self._note(epoch)
            self._known = epoch
        return False

    def _note(self, epoch: str) -> None:
        with self._connection.transaction():
            changed = self._connection.execute(
                "UPDATE cq_layer SET epoch = %s WHERE broker = %s AND epoch <> %s",
                [epoch, self._broker, epoch],
            )
            lost = KeepingMirror(self._connection).unsend(self._broker) if changed else 0
        if lost:
            logger.warning("The channel layer has lost its messages; %d are sent again.", lost)


class EmptinessWatch:
    """Looks for tasks that were sent to a queue that is empty."""

    interval = SETTLED

    def __init__(self, broker: str, layer: TaskLayer, connection: OwnConnection) -> None:
        self._broker = broker
        self._layer = layer
        self._connection = connection

    def run_once(self) -> bool:
        """Have what is missing sent again.

        Raises:
            LayerUnreachable: the layer is away.
        """
        mirror = KeepingMirror(self._connection)
        for queue in mirror.waiting_queues(self._broker, SETTLED):
            if self._layer.size(queue) == 0:
                lost = mirror.unsend_queue(self._broker, queue, SETTLED)
                logger.warning("Queue %r has lost messages; %d are sent again.", queue, lost)
        return False
