"""What a keeper does again and again."""

from __future__ import annotations

from typing import Protocol


class Duty(Protocol):
    """A bounded piece of work that is due every ``interval`` seconds."""

    @property
    def interval(self) -> float:
        """Seconds between two runs."""

    def run_once(self) -> bool:
        """Do it; tell whether there is more of it at once."""
