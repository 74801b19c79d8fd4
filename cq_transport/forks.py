"""What must begin anew in a forked child: connections, locks and whatever is under way belong to
the parent.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Something that holds connections or locks."""

    def reset_after_fork(self) -> None:
        """Forget, in the child, what belongs to the parent; never write to its sockets."""


_aware: WeakSet[ForkAware] = WeakSet()


def reset_in_children(obj: ForkAware) -> None:
    """Call ``obj.reset_after_fork()`` in every child that is forked from now on."""
    _aware.add(obj)


def _after_in_child() -> None:
    for obj in list(_aware):
        obj.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
