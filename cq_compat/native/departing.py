"""Retries and replacements of a body in a transaction, which are published when the body is left.

A retry undoes what the body has written, so it is published when the transaction is over: on a
connection of its own, which on SQLite, with one writer at a time, would wait for the transaction.
A replacement belongs to the transaction, if the tasks' rows do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery.exceptions import Ignore, Retry

_IN_TRANSACTION, _REPLACING = "cq_in_transaction", "cq_replacing"
Publish = Callable[[], Any]


class Later(Exception):
    """A body has something to publish when it is left.

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


class Replaced(Ignore):  # type: ignore[misc]
    """Others run in the task's place, and the row says so."""


def in_transaction(request: Any) -> AbstractContextManager[None]:
    """Let a body's request say that the body runs in a transaction."""
    return _marked(request, _IN_TRANSACTION)


def is_in_transaction(request: Any) -> bool:
    """Tell whether the body of a request runs in the task's transaction."""
    return getattr(request, _IN_TRANSACTION, False)


def replacing(request: Any) -> AbstractContextManager[None]:
    """Let a body's request say that what is published in its place belongs to its transaction."""
    return _marked(request, _REPLACING)


def is_replacing(request: Any) -> bool:
    """Tell whether a task is being replaced in the transaction of its body."""
    return getattr(request, _REPLACING, False)


@contextmanager
def _marked(request: Any, mark: str) -> Iterator[None]:
    setattr(request, mark, True)
    try:
        yield
    finally:
        delattr(request, mark)
