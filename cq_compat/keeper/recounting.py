"""Goes on with chords that nobody has gone on with."""

from __future__ import annotations

from celery import Celery

from cq_compat import chords
from cq_compat.backend import CqBackend

#: Chords looked at in one run.
BATCH = 100
#: Seconds for which a chord is left to its parts.
AGE = 5.0


class Recounting:
    """Looks for chords whose parts have all ended, some of them uncounted: revoked or expired."""

    interval = 10.0

    def __init__(self, app: Celery) -> None:
        self._app = app

    def run_once(self) -> bool:
        """Complete a batch."""
        backend = CqBackend(self._app)
        found = chords.uncounted(AGE, BATCH)
        for group_id in found:
            chords.complete(self._app, backend, group_id)
        return len(found) == BATCH
