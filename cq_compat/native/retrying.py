"""Retries of a body in a transaction, which are published when that is undone.

A retry is written on a connection of its own, so that the transaction does not undo it. On SQLite,
which has one writer at a time, it would wait for that transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import Retry

_FLAG = "cq_in_transaction"


class RetryLater(Retry):  # type: ignore[misc]
    """The body is to run once more.

    Args:
        again: publishes it, and raises what Celery raises then.
    """

    def __init__(self, again: Callable[[], Any]) -> None:
        super().__init__()
        self.again = again


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
