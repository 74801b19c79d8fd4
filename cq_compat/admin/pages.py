"""Pages of a list that is never counted to its end."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

#: Rows that pages lead to, and on which one action acts.
REACH = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to ``REACH``, along the index that gives the order."""

    @cached_property
    def count(self) -> int:
        """Return how many rows can be reached."""
        return min(self._found, REACH)

    @property
    def has_more(self) -> bool:
        """Whether there are rows that no page leads to."""
        return self._found > REACH

    @property
    def reach(self) -> int:
        """How many rows can be reached at most."""
        return REACH

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows[: REACH + 1].count())
