"""Writes of a worker that must not be lost while the database is away."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import TypeVar

from kombu.log import get_logger

from cq_compat.database import LOST, own_connection

logger = get_logger(__name__)
T = TypeVar("T")

#: Seconds between two attempts, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


def persist(write: Callable[[], T]) -> T:
    """Call ``write`` until the database takes it; the fence keeps a write that comes too late from
    changing anything.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return write()
        except LOST as exc:
            if own_connection().is_mine:
                raise  # the whole transaction is begun again
            if pause == FIRST_PAUSE:
                logger.warning("The tasks' database does not answer; waiting for it: %s", exc)
            own_connection().close()
            sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
