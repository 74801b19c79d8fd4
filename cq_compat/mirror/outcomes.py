"""What is stored when a task changes its state."""

from __future__ import annotations

from typing import NamedTuple

from cq_compat import states


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

    @property
    def ended_as(self) -> str | None:
        """The state of a task that ends with it in another way than by success."""
        return None if self.state == states.SUCCESS else self.state
