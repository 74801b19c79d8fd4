"""What is stored when a task changes its state."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """A state and what belongs to it.

    Args:
        result: the encoded result.
        content_type: how it is encoded.
        children: the encoded list of the tasks that it published.
    """

    state: str
    result: str | None = None
    content_type: str = ""
    traceback: str | None = None
    children: str | None = None
