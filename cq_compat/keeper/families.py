"""Goes on with families whose members nobody has gone on with."""

from __future__ import annotations

from celery import Celery

from cq_compat.database import own_connection
from cq_compat.mirror import FamilyMirror
from cq_compat.native.chaining import go_on
from cq_compat.native.completion import complete

#: Tasks looked at in one run.
BATCH = 100
#: Seconds for which they are left to those who end their relatives.
AGE = 5.0


class Families:
    """Looks for parents that wait for nothing, and for tasks that are held for one that has ended:
    a process has died between an end and what follows from it.
    """

    interval = 10.0

    def __init__(self, app: Celery) -> None:
        self._app = app

    def run_once(self) -> bool:
        """Go on with a batch."""
        mirror = FamilyMirror(own_connection())
        parents = mirror.stranded_parents(AGE, BATCH)
        for task_id in parents:
            complete(self._app, task_id)
        previous = mirror.stranded_next(AGE, BATCH)
        for task_id in previous:
            go_on(self._app, task_id)
        return BATCH in (len(parents), len(previous))
