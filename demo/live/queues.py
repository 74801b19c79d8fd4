"""How many messages wait in the queues."""

from celery import Celery
from kombu import Connection

QUEUES = ("celery", "mails", "pictures")


def queue_lengths(app: Celery) -> list[dict[str, object]]:
    """Return the name and the length of every queue."""
    with app.connection_or_acquire() as connection:
        connection.ensure_connection(max_retries=1)
        return [{"name": name, "length": _length(connection, name)} for name in QUEUES]


def _length(connection: Connection, queue: str) -> int:
    try:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
    except connection.channel_errors:  # no worker has declared it yet
        return 0
