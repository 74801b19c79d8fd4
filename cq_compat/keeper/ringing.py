"""Sends rows that are due: those whose time has come, and those whose publisher did not send them
or whose message the layer has lost.
"""

from __future__ import annotations

from time import monotonic

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.keeper.duty import LayerDuty
from cq_compat.mirror import Due, Route
from cq_compat.records import HEADER, PUBLISHER_TIME
from cq_compat.signals import task_rung
from cq_transport.envelope import from_text
from cq_transport.errors import LayerFull, UndecodableMessage
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)

#: Rows sent in one run.
BATCH = 200
#: Seconds after which a run that has found full queues lets the other duties have their turn.
TURN = 1.0
#: Seconds that the layer has to accept a batch.
ACCEPT_TIMEOUT = 5.0
#: Seconds between two looks at most: no publisher's row is due earlier than that.
LOOK = PUBLISHER_TIME
#: Seconds that the next row waits for others, with which it is sent.
LINGER = 0.1
#: Seconds between two attempts at a full queue, at first; each that finds no room doubles them.
FULL_PAUSE = 0.1


class Ringing(LayerDuty):
    """Sends the due rows of one broker, the longest due first; full queues hold up no others."""

    def __init__(self, broker: str, layer: TaskLayer, connection: OwnConnection) -> None:
        super().__init__(broker, layer, connection)
        self._pause = 0.0
        self._full_pause = FULL_PAUSE
        #: The routes that have no room, until all others were looked at.
        self._full: set[Route] = set()

    @property
    def interval(self) -> float:
        """Seconds until the next row is due, or until a full queue may have room."""
        return self._pause

    def hurry(self) -> None:
        """Look at once: there are rows that have become due."""
        self._pause = 0.0

    def run_once(self) -> bool:
        """Send a batch; what the layer has no room for stays due.

        Raises:
            LayerUnreachable: the layer is away; all stays due.
        """
        self._pause = LOOK
        wait = self.mirror.due_in(self.broker, self._full)
        if wait is None or wait > 0.0:
            self._rest(LOOK if wait is None else min(wait + LINGER, LOOK))
            return False
        return self._ring()

    def _rest(self, pause: float) -> None:
        if self._full:
            pause = min(pause, self._full_pause)
            self._full_pause = min(2 * self._full_pause, LOOK)
            self._full.clear()
        self._pause = pause

    def _ring(self) -> bool:
        began = monotonic()
        with self.connection.transaction():
            mirror = self.mirror
            due = mirror.due(self.broker, BATCH, self._full)
            sent = self._send(due, began + TURN)
            if sent:
                self.layer.flush(ACCEPT_TIMEOUT)
                mirror.mark_sent([(row.id, row.run) for row in sent], ago=monotonic() - began)
                self._full_pause = FULL_PAUSE
        for row in sent:
            reason = "unsent" if row.eta is None else "due"
            task_rung.tell(task_id=row.id, name=row.name, queue=row.queue, reason=reason)
        return bool(due)

    def _send(self, due: list[Due], deadline: float) -> list[Due]:
        sent: list[Due] = []
        for row in due:
            if row.route in self._full:
                continue
            try:
                self._outgoing(row).send(self.layer)
            except LayerFull as exc:
                logger.info("Tasks wait for room in the layer: %s", exc)
                self._full.add(row.route)
                if monotonic() > deadline:
                    break
                continue
            except UndecodableMessage as exc:
                logger.error("Task %s has no readable message and cannot be sent: %s", row.id, exc)
            sent.append(row)
        return sent

    def _outgoing(self, row: Due) -> Outgoing:
        envelope = from_text(row.message)
        headers = envelope["headers"]
        headers[HEADER] = {"run": row.run}
        # An operator who lets a task run again also lets its retries begin anew.
        headers["retries"] = row.retries
        if row.eta is None:
            headers["eta"] = None
        if row.expires_at is None:
            headers["expires"] = None
            envelope["properties"].pop("expiration", None)
        return Outgoing(self.broker, row.exchange, row.queue, row.priority, envelope)
