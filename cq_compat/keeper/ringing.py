"""Sends rows that are due: those whose time has come, and those whose publisher did not send them
or whose message the layer has lost.
"""

from __future__ import annotations

from kombu.log import get_logger

from cq_compat.database import OwnConnection
from cq_compat.mirror import Due, KeepingMirror
from cq_compat.records import HEADER
from cq_transport.envelope import from_text
from cq_transport.errors import LayerFull, UndecodableMessage
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)

#: Rows sent in one run.
BATCH = 200
#: Seconds that the layer has to accept them.
ACCEPT_TIMEOUT = 5.0


class Ringing:
    """Sends the due rows of one broker, the longest due first."""

    interval = 1.0

    def __init__(self, broker: str, layer: TaskLayer, connection: OwnConnection) -> None:
        self._broker = broker
        self._layer = layer
        self._connection = connection

    def run_once(self) -> bool:
        """Send a batch; what the layer has no room for stays due.

        Raises:
            LayerUnreachable: the layer is away; all stays due.
        """
        with self._connection.transaction():
            mirror = KeepingMirror(self._connection)
            due = mirror.due(self._broker, BATCH)
            sent = self._send(due)
            if sent:
                self._layer.flush(ACCEPT_TIMEOUT)
                mirror.mark_sent(sent)
        return len(sent) == BATCH

    def _send(self, due: list[Due]) -> list[tuple[str, int]]:
        sent: list[tuple[str, int]] = []
        for row in due:
            try:
                self._outgoing(row).send(self._layer)
            except LayerFull as exc:
                logger.info("%d tasks wait for room in the layer: %s", len(due) - len(sent), exc)
                break
            except UndecodableMessage as exc:
                logger.error("Task %s has no readable message and cannot be sent: %s", row.id, exc)
            sent.append((row.id, row.run))
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
        return Outgoing(self._broker, row.exchange, row.queue, row.priority, envelope)
