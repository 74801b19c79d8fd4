"""Splits what was seen of tasks into lost, duplicated, overwritten and unexpected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Row(NamedTuple):
    """What the database has of a task."""

    state: str
    run: int
    fence: int
    acks_late: bool
    deaths: int
    is_finished: bool


class Body(NamedTuple):
    """A body that began, as it wrote of itself into the file of records."""

    task_id: str
    run: int
    fence: int


@dataclass(frozen=True)
class History:
    """The tasks of one test, when everything has settled.

    Args:
        published: the ids that publishers were given, in transactions that were committed.
        rows: what the database has, by id.
        events: what bodies have written, by id: `start RUN FENCE` and `end RUN FENCE`.
        overwritten: the ids of rows that were changed after they had ended.
        asked: the ids of tasks whose publisher does not know whether they were accepted.
    """

    published: frozenset[str]
    rows: Mapping[str, Row]
    events: Mapping[str, list[str]]
    overwritten: list[str] = field(default_factory=list)
    asked: frozenset[str] = frozenset()

    @property
    def bodies(self) -> list[Body]:
        """The bodies that began."""
        found = []
        for task_id, events in self.events.items():
            for event in events:
                what, run, fence = event.split()
                if what == "start":
                    found.append(Body(task_id, int(run), int(fence)))
        return found

    @property
    def lost(self) -> set[str]:
        """Tasks that were published and have not ended, or that say so without having run."""
        begun = {body.task_id for body in self.bodies}
        return {
            task_id
            for task_id in self.published
            if (row := self.rows.get(task_id)) is None
            or not row.is_finished
            or (row.state == "SUCCESS" and task_id not in begun)
        }

    @property
    def duplicated(self) -> set[str]:
        """Tasks of which more bodies began than may: one for each run, and with late
        acknowledgement one more for each death.
        """
        begun = Counter(body.task_id for body in self.bodies)
        return {task_id for task_id, count in begun.items() if count > self._allowed(task_id)}

    @property
    def unexpected(self) -> set[str]:
        """Tasks that ran without having been published, and claims under which two bodies began."""
        twice = [body for body, count in Counter(self.bodies).items() if count > 1]
        return set(self.events) - self.published - self.asked | {body.task_id for body in twice}

    @property
    def faults(self) -> dict[str, int]:
        """How many tasks each kind of fault has; empty if all is well."""
        kinds: dict[str, Iterable[str]] = {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "unexpected": self.unexpected,
            "overwritten": self.overwritten,
        }
        return {kind: len(set(ids)) for kind, ids in kinds.items() if ids}

    def _allowed(self, task_id: str) -> int:
        row = self.rows.get(task_id)
        if row is None:
            return 0
        return 1 + row.run + (row.deaths if row.acks_late else 0)
