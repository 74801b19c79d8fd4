"""Keeps rows of tasks that run on another broker, or without the ledger, from Celery's signals.

Nobody waits for it and nothing fails with it: what is seen goes to a bounded queue, which a thread
writes to the database in batches, on a connection of its own.
"""

from cq_compat.observing.observer import Observer, observer
from cq_compat.observing.writer import Writer

__all__ = ["Observer", "Writer", "observer"]
