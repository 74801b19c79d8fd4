"""One schedule, and the tick of it that comes next."""

from __future__ import annotations

from time import monotonic
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from celery.schedules import schedstate
from django.db import connections
from django.db.models import F
from django_celery_beat.schedulers import ModelEntry

from cq_compat.native.schedules import COALESCE

#: What beats change; other changes are told by ``PeriodicTasks``.
_RUN_STATE = ("enabled", "last_run_at", "total_run_count")
#: Seconds until the schedule is read without a row that has gone.
GONE = 5.0


class BeatEntry(ModelEntry):  # type: ignore[misc]
    """A periodic task's row as it was read.

    The row decides who runs a tick: whoever still finds in it what was read, and changes that.
    """

    last_run_at: Any
    #: Until when, by the clock of this process, the tick is not tried again.
    _put_off_until = 0.0

    def __init__(self, model: Any, app: Any = None) -> None:
        self.stored = model.last_run_at
        super().__init__(model, app=app)
        headers = self.options["headers"]
        headers["periodic_task_name"] = model.name  # which django-celery-beat 2.7 says elsewhere
        self.coalesces = bool(headers.pop(COALESCE, False))
        self._name_tick()

    @property
    def task_id(self) -> str:
        """The id of the tick's task."""
        return str(self.options["task_id"])

    def put_off(self, seconds: float) -> None:
        """Let others go first for some seconds."""
        self._put_off_until = monotonic() + seconds

    def is_due(self) -> schedstate:
        """Tell whether the tick is due by what the row says now, and when to ask again."""
        wait = self._put_off_until - monotonic()
        if wait > 0:
            return schedstate(False, wait)
        found = super().is_due()
        if not found.is_due:
            return found
        return super().is_due() if self.refresh() else schedstate(False, GONE)

    def refresh(self) -> bool:
        """Read anew what other beats change; tell whether the row is still there."""
        try:
            self.model.refresh_from_db(fields=_RUN_STATE)
        except self.model.DoesNotExist:
            return False
        self.stored = self.model.last_run_at
        self.last_run_at = self.stored or self.last_run_at
        self.total_run_count = self.model.total_run_count
        self._name_tick()
        return True

    def claim(self) -> bool:
        """Note the tick, unless another beat has or the task is disabled; in a transaction."""
        rows = type(self.model)._default_manager.using(self.database)
        mine = rows.filter(pk=self.model.pk, enabled=True, last_run_at=self.stored)
        if connections[self.database].features.has_select_for_update_skip_locked:
            # A beat that was cut off from the database may keep the row locked for hours.
            unlocked = mine.select_for_update(skip_locked=True).values_list("pk", flat=True)
            if not unlocked.first():
                return False
        noted = mine.update(
            last_run_at=self.model.last_run_at, total_run_count=F("total_run_count") + 1
        )
        return bool(noted == 1)

    @property
    def database(self) -> str:
        """The alias of the database that has the periodic task."""
        return str(self.model._state.db)

    def _name_tick(self) -> None:
        # A tick that is published twice, because a crash or an edit in the admin has undone the
        # note of it, is one task: the ledger drops the second message.
        tick = f"{self.model.pk}/{self.total_run_count}/{self.last_run_at.isoformat()}"
        self.options["task_id"] = str(uuid5(NAMESPACE_URL, f"cq:tick:{tick}"))
