"""What must begin anew in a forked child: connections, locks and whatever is under way belong to
the parent. Some of it must not be under way when the child is forked.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Something that holds connections or locks."""

    def reset_after_fork(self) -> None:
        """Forget, in the child, what belongs to the parent; never write to its sockets."""


class Busy(Protocol):
    """Something that a child cannot forget while a thread of the parent is at it."""

    def hold_for_fork(self) -> bool:
        """Keep other threads off until ``release``; tell whether that is so."""

    def release(self) -> None:
        """Let other threads go on."""


_aware: WeakSet[ForkAware] = WeakSet()
_busy: WeakSet[Busy] = WeakSet()
_forking = threading.local()


def reset_in_children(obj: ForkAware) -> None:
    """Call ``obj.reset_after_fork()`` in every child that is forked from now on."""
    _aware.add(obj)


def hold_in_forks(obj: Busy) -> None:
    """Call ``obj.hold_for_fork()`` before each fork, and ``obj.release()`` when it is done."""
    _busy.add(obj)


def _before() -> None:
    _forking.held = [obj for obj in list(_busy) if obj.hold_for_fork()]


def _after_in_parent() -> None:
    for obj in _forking.held:
        obj.release()


def _after_in_child() -> None:
    for obj in list(_aware):
        obj.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
