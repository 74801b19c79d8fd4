"""How much of what can be repeated without end is repeated."""

import os
from typing import TypeVar

T = TypeVar("T")

#: Whether everything is tried as often, and as long, as it may happen; it takes some minutes more.
FULL = os.environ.get("CQ_TESTS") == "full"


def extent(usual: T, full: T) -> T:
    """Return how much of something there is in this run."""
    return full if FULL else usual
