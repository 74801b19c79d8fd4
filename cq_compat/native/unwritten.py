"""What tasks have said and the database does not have."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from cq_compat.native.journal import Line, Said, Step

#: Weight of the lines that wait: one each, and one more for each 1,000 characters; and how many
#: tasks' steps do.
LIMIT = 50_000


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
