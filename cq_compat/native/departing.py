"""Retries and replacements of a body in a transaction, which are published when that is over.

They are written on a connection of their own, so that the transaction does not undo them. On
SQLite, which has one writer at a time, they would wait for that transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import Ignore, Retry

_FLAG = "cq_in_transaction"
Publish = Callable[[], Any]


class Later(Exception):
    """A body has something to publish when its transaction is over.

    Args:
        publish: does so, and raises what Celery raises then.
    """

    def __init__(self, publish: Publish) -> None:
        super().__init__()
        self.publish = publish


class RetryLater(Later, Retry):  # type: ignore[misc]
    """The body is to run once more; what it has written is undone."""


class ReplaceLater(Later, Ignore):  # type: ignore[misc]
    """Other tasks are to run in the task's place; what the body has written remains."""


@contextmanager
def in_transaction(request: Any) -> Iterator[None]:
    """Let a body's request say that the body runs in a transaction."""
    setattr(request, _FLAG, True)
    try:
        yield
    finally:
        delattr(request, _FLAG)


def is_in_transaction(request: Any) -> bool:
    """Tell whether the body of a request runs in the task's transaction."""
    return getattr(request, _FLAG, False)
