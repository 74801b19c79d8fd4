"""The threads that do a worker's duties."""

from __future__ import annotations

from celery import Celery
from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import Duty
from cq_compat.keeper.families import Families
from cq_compat.keeper.heartbeat import Heartbeat
from cq_compat.keeper.leadership import Leadership
from cq_compat.keeper.loop import Loop
from cq_compat.keeper.losses import EpochWatch, QueueWatch
from cq_compat.keeper.reaping import Expiring, Reaping
from cq_compat.keeper.recounting import Recounting
from cq_compat.keeper.ringing import Ringing
from cq_compat.lease import Lease
from cq_transport.layers.base import TaskLayer

logger = get_logger(__name__)


class Keeper:
    """Looks after one broker's rows beside a worker.

    Args:
        app: the worker's Celery app.
        lease: the worker's lease.
        layer: the layer that carries the messages.
    """

    def __init__(self, app: Celery, lease: Lease, layer: TaskLayer) -> None:
        connection, broker = OwnConnection(), lease.broker
        self._connection = connection
        self.leadership = Leadership(lease, connection)
        ringing = Ringing(broker, layer, connection)
        self._leaders: list[Duty] = [
            Reaping(app, lease, connection, ringing),
            EpochWatch(broker, layer, connection, ringing),
            QueueWatch(broker, layer, connection, ringing),
            ringing,
            Expiring(connection),
            Recounting(app),
            Families(app),
        ]
        # A thread of its own: a layer that does not answer must not keep the lease from going on.
        heartbeat = Heartbeat(lease)
        self._heart = Loop("cq-heartbeat", lambda: [heartbeat], lease.connection)
        self._loop = Loop("cq-keeper", self._duties, connection)

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._heart.start()
        self._loop.start()

    def stop(self) -> None:
        """End the threads and give up the lead."""
        self._loop.stop()
        self._heart.stop()
        try:
            self.leadership.resign()
        except Exception as exc:
            logger.warning("The keeper could not resign: %s", exc)
        self._connection.close()

    def run_once(self) -> float:
        """Do every duty of the lead whose time has come; return the seconds until the next one."""
        return self._loop.run_once()

    def _duties(self) -> list[Duty]:
        return [self.leadership, *(self._leaders if self.leadership.is_held else [])]
