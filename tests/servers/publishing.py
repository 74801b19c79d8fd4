"""Apps that publish from this process, and what becomes of what they publish."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from celery import Celery
from django.db import transaction

from cq_compat.ledger import ledger
from cq_compat.outbox import outbox
from cq_transport import current_ledger, use_ledger


class Undone(Exception):
    """Rolls a block back."""


@contextmanager
def kept_in_rows() -> Iterator[None]:
    """Let the tasks that are published in the block be rows."""
    before = current_ledger()
    use_ledger(ledger)
    try:
        yield
    finally:
        use_ledger(before)


@contextmanager
def publisher() -> Iterator[Celery]:
    """An app with a namespace of its own."""
    with Celery("publisher", set_as_current=False) as app:
        app.conf.update(broker_url=f"channels://default/{uuid4().hex[:8]}", result_backend="cq")
        yield app


@contextmanager
def rolled_back(using: str) -> Iterator[None]:
    """Run a block in a transaction, or a savepoint, that is then undone."""
    with suppress(Undone), transaction.atomic(using=using):
        yield
        raise Undone


def sent(app: Celery) -> int:
    """Return how many messages are in the app's queue once nothing is under way."""
    assert outbox.flush(10)
    with app.connection_for_read() as connection:
        return int(connection.default_channel.layer.size(app.conf.task_default_queue))
