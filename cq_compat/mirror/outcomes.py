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


class Terms(NamedTuple):
    """On what terms a task waits for its subtasks.

    Args:
        result_from: the task whose result is to be its own.
        subtasks_may_fail: whether it succeeds although some of them fail.
    """

    result_from: str | None = None
    subtasks_may_fail: bool = False


NO_TERMS = Terms()


class End(NamedTuple):
    """How a body or a task has ended, and whom that concerns.

    Args:
        state: ``WAITING`` if the task has not ended with its body.
        watcher: the queue of the process that waits for the result; empty if there is none.
        parent_id: the task of which it is a subtask.
        has_next: whether others are held until it has ended.
    """

    task_id: str
    state: str
    watcher: str = ""
    parent_id: str | None = None
    has_next: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for its subtasks."""
        return self.state == states.WAITING

    @property
    def has_followers(self) -> bool:
        """Whether others go on, or end, because of it."""
        ended_alone = self.parent_id is None and not self.has_next
        return not ended_alone or self.state in (states.WAITING, states.REVOKED)
