"""Wakes those who wait for results.

A process that waits for a while has a queue of its own at the broker and writes its name into the
rows of the tasks. Whoever ends such a task sends a word to that queue. A word may be lost: those
who wait look at the rows by themselves as well, only less often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.log import get_logger
from kombu.messaging import Consumer

from cq_compat.database import own_connection
from cq_compat.mirror import PublishingMirror
from cq_transport.forks import reset_in_children

logger = get_logger(__name__)

#: Seconds for which the queue is kept while nobody waits.
IDLE = 10.0
#: Seconds in one turn of the thread.
TURN = 1.0
#: Seconds until a word that nobody has taken is worthless.
WORTH = 60

Ring = Callable[[], object]


class Waker:
    """Hears that tasks have ended for which somebody in this process waits.

    Args:
        app: whose broker is used.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin without anybody in a child: its queue is another."""
        self.address = f"cq.waiting.{uuid4().hex}"
        self._rings: dict[str, list[Ring]] = {}
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._hears = threading.Event()

    def add(self, task_ids: Sequence[str], ring: Ring) -> None:
        """Call ``ring``, from another thread, whenever one of the tasks has ended."""
        with self._turn:
            for task_id in task_ids:
                self._rings.setdefault(task_id, []).append(ring)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cq-waker", daemon=True)
                self._thread.start()

    def remove(self, task_ids: Sequence[str], ring: Ring) -> None:
        """Call ``ring`` no more."""
        with self._turn:
            for task_id in task_ids:
                self._rings[task_id].remove(ring)
                if not self._rings[task_id]:
                    del self._rings[task_id]

    def watch(self, task_ids: Sequence[str]) -> bool:
        """Have the ends of tasks told to this process from now on; tell whether that can be."""
        if not self._hears.is_set():
            return False
        PublishingMirror(own_connection()).watch(task_ids, self.address)
        return True

    def _run(self) -> None:
        try:
            with self._app.connection_for_read() as connection:
                self._hear(connection)
        except Exception as exc:  # those who wait look at the rows by themselves
            logger.warning("The ends of tasks are looked for, because none are heard of: %s", exc)
        finally:
            with self._turn:
                self._hears.clear()
                self._thread = None

    def _hear(self, connection: Connection) -> None:
        queue = Queue(self.address, durable=False, auto_delete=True, expires=WORTH)
        with Consumer(connection, [queue], callbacks=[self._on_word], accept=["json"], no_ack=True):
            self._hears.set()
            idle_since = monotonic()
            while monotonic() - idle_since < IDLE:
                try:
                    connection.drain_events(timeout=TURN)
                except TimeoutError:
                    pass
                if self._rings:
                    idle_since = monotonic()

    def _on_word(self, task_id: Any, message: Any) -> None:
        with self._turn:
            rings = list(self._rings.get(task_id, ()))
        for ring in rings:
            ring()


def tell(app: Celery, address: str, task_id: str) -> None:
    """Send a word that a task has ended to the process that watches it; it may be lost."""
    try:
        with app.producer_or_acquire() as producer:
            producer.publish(
                task_id,
                routing_key=address,
                exchange="",
                serializer="json",
                delivery_mode=1,
                expiration=WORTH,
                retry=False,
            )
    except Exception as exc:
        logger.info("Task %s is waited for by somebody who cannot be told: %s", task_id, exc)


_wakers: dict[str, Waker] = {}
_turn = threading.Lock()


def waker_of(app: Celery) -> Waker:
    """Return this process's waker for the broker of an app."""
    url = str(app.connection_for_read().as_uri())
    with _turn:
        if url not in _wakers:
            _wakers[url] = Waker(app)
        return _wakers[url]
