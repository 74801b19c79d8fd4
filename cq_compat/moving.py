"""Moves tasks that wait to another broker."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.contrib.migrate import republish
from kombu.message import Message

from cq_compat.database import own_connection
from cq_compat.mirror import PublishingMirror
from cq_compat.observing.routes import broker_name
from cq_compat.records import HEADER
from cq_compat.walk import walk
from cq_transport.envelope import from_text

#: Seconds and attempts to reach the broker.
TIMEOUT, ATTEMPTS = 5.0, 1
_WAITING = "finished_at IS NULL AND owner_id IS NULL AND message <> ''"
_COLUMNS = "run, exchange, queue, message"


def move(app: Celery, url: str, queue: str = "", *, dry_run: bool = False) -> int:
    """Publish the tasks that no worker has to the broker at ``url``, with their ids, ETAs and
    retries as they are, and leave their rows to the observers there; return how many.

    Copies of their messages that are still in a layer are refused from then on. If this process
    dies between a publication and its commit, that one task is on both brokers.

    Raises:
        kombu.exceptions.OperationalError: the broker is away; what is not moved stays as it is.
    """
    guard, params = (f"{_WAITING} AND queue = %s", [queue]) if queue else (_WAITING, [])
    mirror = PublishingMirror(own_connection())
    moved = 0
    with app.connection_for_write(url) as broker, app.amqp.Producer(broker) as producer:
        broker.ensure_connection(max_retries=ATTEMPTS, timeout=TIMEOUT)
        declare = _Declarations(app, producer.channel)
        for rows in walk(mirror.connection, "created_at", _COLUMNS, guard, params):
            for task_id, _, run, exchange, key, message in rows:
                if dry_run:
                    moved += 1
                    continue
                with mirror.connection.transaction():
                    if mirror.move(task_id, run, broker_name(url)):
                        declare(exchange, key)
                        republish(producer, _message(message, exchange, key))
                        moved += 1
    return moved


class _Declarations:
    """The queues that the other broker knows by now: some drop what is for others."""

    def __init__(self, app: Celery, channel: Any) -> None:
        self._app = app
        self._channel = channel
        self._known: set[str] = set()

    def __call__(self, exchange: str, key: str) -> None:
        """Declare a queue, or all of the app's if an exchange leads to some of them."""
        queues = self._app.amqp.queues
        for queue in list(queues.values()) if exchange else [queues[key]]:
            if queue.name not in self._known:
                queue(self._channel).declare()
                self._known.add(queue.name)


def _message(text: str, exchange: str, key: str) -> Message:
    envelope = from_text(text)
    envelope["headers"].pop(HEADER, None)
    return Message(
        body=envelope["body"],
        content_type=envelope.get("content-type"),
        content_encoding=envelope.get("content-encoding"),
        delivery_info={"exchange": exchange, "routing_key": key},
        properties=envelope["properties"],
        headers=envelope["headers"],
        postencode="utf-8",
    )
