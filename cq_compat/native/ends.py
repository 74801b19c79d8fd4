"""Ends that were written in the transactions of bodies, until Celery has gone on after them."""

from __future__ import annotations

from typing import Any

from cq_compat.mirror import End

#: The attribute of a Celery request.
_END = "cq_end"


def note_end(request: Any, end: End) -> None:
    """Note how the task of a body has ended."""
    setattr(request, _END, end)


def end_of(request: Any) -> End | None:
    """Return how the task of a body has ended; ``None`` if its end is still to be written."""
    return getattr(request, _END, None)
