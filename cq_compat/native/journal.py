"""What tasks say while their bodies run: lines of their logs, and how far they are."""

from __future__ import annotations

import logging
from collections import deque
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from cq_compat.encoding import storable

#: Characters of a message that are kept.
LONGEST = 10_000


class Line(NamedTuple):
    """A line of a task's log.

    Args:
        number: counts the lines of one body.
        limit: how many lines of the body are kept, this one being the last.
        at: when it was said, by this process's monotonic clock.
        fence: that of the body's claim; ``None`` without one.
    """

    task_id: str
    number: int
    level: int
    logger: str
    message: str
    limit: int
    at: float
    fence: int | None = None

    def __str__(self) -> str:
        """Return the message."""
        return self.message

    @property
    def level_name(self) -> str:
        """The level as ``logging`` names it."""
        return logging.getLevelName(self.level)

    @property
    def floor(self) -> int:
        """The number up to which lines are not kept any more."""
        return self.number - self.limit

    @property
    def weight(self) -> int:
        """What it costs to keep in memory."""
        return 1 + len(self.message) // 1000


class Step(NamedTuple):
    """How far a task is.

    Args:
        total: what ``done`` will be in the end; ``None`` if nobody knows.
    """

    task_id: str
    done: float | None
    total: float | None
    message: str
    fence: int | None = None


Said: TypeAlias = Line | Step


class Journal:
    """What one body has said.

    Args:
        fence: that of the body's claim; ``None`` without one.
    """

    def __init__(self, task_id: str, fence: int | None = None) -> None:
        self.task_id = task_id
        self.fence = fence
        #: The last step of this body, if it has made one.
        self.step: Step | None = None
        self._number = 0
        self._held: deque[Line] = deque()

    def log(self, message: str, level: int, logger: str, limit: int) -> None:
        """Say a line, which is held until ``release``."""
        self._number += 1
        line = Line(
            self.task_id,
            self._number,
            level,
            logger[:255],
            _short(message),
            limit,
            monotonic(),
            self.fence,
        )
        self._held.append(line)
        while self._held and self._held[0].number <= line.floor:
            self._held.popleft()

    def progress(self, done: float | None, total: float | None, message: str) -> Step:
        """Say how far the body is."""
        self.step = Step(self.task_id, done, total, _short(message), self.fence)
        return self.step

    @property
    def held(self) -> list[Line]:
        """What is held."""
        return list(self._held)

    def release(self) -> list[Line]:
        """Return what was held."""
        held, self._held = self._held, deque()
        return list(held)


class Journaled:
    """Something that has a journal, and keeps in memory what it says."""

    id: Any
    _begun: Journal | None = None

    @property
    def has_journal(self) -> bool:
        """Whether it has said anything."""
        return self._begun is not None

    @property
    def _journal(self) -> Journal:
        if self._begun is None:
            self._begun = self._new_journal()
        return self._begun

    def _new_journal(self) -> Journal:
        return Journal(str(self.id))

    def _publish(self, step: Step | None = None) -> None:
        """Let others see what was said."""


def _short(message: str) -> str:
    text = storable(message)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
