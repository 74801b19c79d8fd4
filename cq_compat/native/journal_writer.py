"""The thread that writes what tasks say, outside the transactions of their bodies."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from celery._state import get_current_worker_task

from cq_compat.batching import BatchWriter
from cq_compat.conf import conf
from cq_compat.database import OwnConnection, may_write_beside
from cq_compat.guards import claim_of
from cq_compat.mirror.journal import JournalMirror
from cq_compat.native.journal import Journal, Line, Said, Step
from cq_compat.native.unwritten import Unwritten
from cq_compat.observing import observer
from cq_compat.signals import task_logged, task_progressed

#: Most seconds that the end of a body is held up for what it has said.
PATIENCE = 2.0


class JournalWriter(BatchWriter[Said]):
    """Writes what tasks say, at most twice in a second: of many steps of a task, the last."""

    name = "cq-journal"
    topic = "what tasks say"
    linger = 0.5
    most = 10_000

    def settle(self, journal: Journal) -> None:
        """Wait until all that a body has said is written, unless the database is away."""
        self.release(journal)
        if may_write_beside():
            self.flush(PATIENCE, lambda: self._has(journal.task_id))

    def release(self, journal: Journal) -> None:
        """Write what a body has held back, too."""
        for line in journal.release():
            self.put(line)

    def _has(self, task_id: str) -> bool:
        backlog: Any = self._backlog
        return task_id in backlog or any(said.task_id == task_id for said in self._batch)

    def _empty(self) -> Unwritten:
        return Unwritten()

    def _write(self, items: list[Said]) -> None:
        if conf().MIRROR and any(said.fence is None for said in items):
            observer.flush(PATIENCE)  # it makes the rows that are not the ledger's
        lines = [said for said in items if isinstance(said, Line)]
        steps = [said for said in items if isinstance(said, Step)]
        JournalMirror(self._connection).tell(lines, steps)
        _tell_lines(lines)
        _tell_steps(steps)


def _tell_lines(lines: list[Line]) -> None:
    if task_logged.is_heard:
        for task_id, found in groupby(lines, attrgetter("task_id")):
            task_logged.tell(task_id=task_id, lines=list(found))


def _tell_steps(steps: list[Step]) -> None:
    if task_progressed.is_heard:
        for step in steps:
            facts = step._asdict()
            del facts["fence"]
            task_progressed.tell(**facts)


journal_writer = JournalWriter(OwnConnection())


def journal_of(task_id: str) -> Journal:
    """Return an empty journal for a task, under the claim of the body that runs here if it is
    that task's.
    """
    working = get_current_worker_task()
    claim = None if working is None else claim_of(working.request)
    if claim is None or claim.task_id != task_id:
        return Journal(task_id)
    return Journal(task_id, claim.fence)
