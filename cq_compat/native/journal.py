"""What tasks say while their bodies run: lines of their logs, and how far they are."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from cq_compat.encoding import storable

#: Characters of a message that are kept.
LONGEST = 10_000
#: Weight of what waits for the database: lines, and one more for each 1,000 characters.
LIMIT = 50_000


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


class Unwritten:
    """What waits for the database: the last lines of each task, and its last step."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Line]] = {}
        self._steps: dict[str, Step] = {}
        self._weight = 0

    def put(self, item: Said) -> int:
        """Take it; return how many older ones had to go to make room."""
        return self._put_step(item) if isinstance(item, Step) else self._put_line(item)

    def _put_step(self, step: Step) -> int:
        self._steps[step.task_id] = step
        if len(self._steps) <= LIMIT:
            return 0
        del self._steps[next(iter(self._steps))]
        return 1

    def _put_line(self, line: Line) -> int:
        lines = self._lines.setdefault(line.task_id, deque())
        lines.append(line)
        self._weight += line.weight
        while lines[0].number <= line.floor:
            self._weight -= lines.popleft().weight
        dropped = 0
        while self._weight > LIMIT and self._lines:
            self._drop_oldest()
            dropped += 1
        return dropped

    def _drop_oldest(self) -> None:
        task_id, lines = next(iter(self._lines.items()))
        self._weight -= lines.popleft().weight
        if not lines:
            del self._lines[task_id]

    def take(self, most: int) -> list[Said]:
        """Give away the first lines of the first tasks, and all steps."""
        taken: list[Said] = list(self._steps.values())
        self._steps.clear()
        for task_id, lines in list(self._lines.items()):
            while lines and len(taken) < most:
                taken.append(lines.popleft())
            if not lines:
                del self._lines[task_id]
        return taken

    def done(self, items: Sequence[Said]) -> None:
        """Let others have their room."""
        self._weight -= sum(item.weight for item in items if isinstance(item, Line))

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._lines.values())) + len(self._steps)

    def __bool__(self) -> bool:
        """Tell whether any wait, which is asked at each."""
        return bool(self._lines or self._steps)

    def __contains__(self, task_id: str) -> bool:
        """Tell whether something of a task waits."""
        return task_id in self._lines or task_id in self._steps


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
    _written: Journal | None = None

    @property
    def has_journal(self) -> bool:
        """Whether it has said anything."""
        return self._written is not None

    @property
    def _journal(self) -> Journal:
        if self._written is None:
            self._written = self._new_journal()
        return self._written

    def _new_journal(self) -> Journal:
        return Journal(str(self.id))

    def _publish(self, step: Step | None = None) -> None:
        """Let others see what was said."""


def _short(message: str) -> str:
    text = storable(message)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
