"""The thread that does a worker's duties."""

from __future__ import annotations

import threading
from time import monotonic

from celery import Celery
from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import Duty
from cq_compat.keeper.heartbeat import Heartbeat
from cq_compat.keeper.leadership import Leadership
from cq_compat.keeper.losses import EmptinessWatch, EpochWatch
from cq_compat.keeper.reaping import Expiring, Reaping
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
        self._own: list[Duty] = [Heartbeat(lease), self.leadership]
        self._leaders: list[Duty] = [
            Reaping(app, lease, connection),
            EpochWatch(broker, layer, connection),
            Ringing(broker, layer, connection),
            EmptinessWatch(broker, layer, connection),
            Expiring(connection),
        ]
        self._next: dict[int, float] = {}
        self._failing: set[int] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="cq-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give up the lead."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        try:
            self.leadership.resign()
        except Exception as exc:
            logger.warning("The keeper could not resign: %s", exc)
        self._connection.close()

    def run_once(self) -> float:
        """Do every duty whose time has come; return the seconds until the next one."""
        for duty in self._duties():
            if monotonic() >= self._next.get(id(duty), 0.0):
                again = self._do(duty)
                self._next[id(duty)] = monotonic() + (0.0 if again else duty.interval)
        pending = [self._next.get(id(duty), 0.0) for duty in self._duties()]
        return max(0.0, min(pending) - monotonic())

    def _duties(self) -> list[Duty]:
        return [*self._own, *(self._leaders if self.leadership.is_held else [])]

    def _run(self) -> None:
        while not self._stopped.wait(self.run_once()):
            pass

    def _do(self, duty: Duty) -> bool:
        try:
            again = duty.run_once()
        except Exception as exc:  # the other duties, and the next attempt, need this thread
            self._note_failure(duty, exc)
            return False
        self._failing.discard(id(duty))
        return again

    def _note_failure(self, duty: Duty, exc: Exception) -> None:
        self._connection.close()
        if id(duty) not in self._failing:
            self._failing.add(id(duty))
            logger.warning("%s has failed and goes on trying: %s", type(duty).__name__, exc)
