"""Sends what was released at once, where this process reaches its layer."""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import KombuError
from kombu.log import get_logger

from cq_compat.outbox import Waiting, outbox
from cq_transport import current_ledger
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)


def way_to(app: Celery, broker: str) -> TaskLayer | None:
    """Return the layer of a broker if it is the one to which ``app`` publishes; ``None`` leaves its
    tasks to a keeper.
    """
    if not current_ledger().is_durable:
        return None
    try:
        with app.pool.acquire(block=True) as connection:
            transport = connection.connection
            return transport.layer if getattr(transport, "broker", None) == broker else None
    except (KombuError, OSError) as exc:
        logger.info("What was released is left to a keeper: %s", exc)
        return None


def ring(task_id: str, run: int, message: Outgoing, layer: TaskLayer) -> None:
    """Send a message soon."""
    outbox.put(Waiting(task_id, run, message, layer))
