"""Celery's scheduler on django-celery-beat's tables, for any number of beats."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.utils.log import get_logger
from django.db import DatabaseError, close_old_connections, connections, transaction
from django_celery_beat.schedulers import DatabaseScheduler

from cq_compat.beat.entry import BeatEntry
from cq_compat.beat.lead import RENEWAL, Lead
from cq_compat.database import LOST, read_only_is_lost
from cq_compat.native.coalescing import publish_one

logger = get_logger(__name__)

#: Seconds between two looks whether the beat that leads has gone.
LOOK = 1.0
#: Seconds after which a tick that could not be noted or published is tried again.
RETRY = 5.0


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """Runs the schedules while it leads.

    A tick's place in the schedule and the task's row are one transaction, so a beat that dies or
    stands still has either run a tick or not, and another one goes on from there.
    """

    Entry = BeatEntry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lead = Lead()
        self._led: bool | None = None
        self._is_ticking = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Run what is due if this beat leads; return the seconds until the next call."""
        self._is_ticking = True
        try:
            with read_only_is_lost():
                if not self._leads():
                    return LOOK
                return float(min(super().tick(*args, **kwargs), RENEWAL))
        except LOST as exc:
            logger.warning("beat: the database does not answer, ticks will be late: %s", exc)
            connections.close_all()  # those that are usable may lead to a server that only reads
            self._led = None  # what was read may be old when the database is back
            return LOOK
        finally:
            self._is_ticking = False

    def reserve(self, entry: BeatEntry) -> BeatEntry:
        """Return the entry of the tick after this one; its row is changed with the tick."""
        return next(entry)  # type: ignore[no-any-return]

    def sync(self) -> None:
        """Write nothing: a tick is noted when it is run.

        Celery calls this in the middle of a tick, whose transaction would end with the connections
        that are closed here otherwise.
        """

    def apply_async(
        self, entry: BeatEntry, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        """Note the tick and publish its task, or do neither."""
        if advance:
            self.reserve(entry)
        try:
            with transaction.atomic(using=entry.database):
                if entry.claim():
                    return self._publish(entry, producer, **kwargs)
        except Exception:
            self._try_again(entry)
            raise
        logger.warning("beat: %s was changed meanwhile, by another beat or by hand", entry.name)
        self._try_again(entry)
        return None

    def enabled_models_qs(self) -> Any:
        """Return all that is enabled: what was missed hours ago is due now."""
        return self.Model.objects.enabled()

    def close(self) -> None:
        """Let another beat lead."""
        super().close()
        if self._is_ticking:
            return  # a signal has interrupted a statement; the end of the service closes once more
        try:
            self._lead.resign()
        except DatabaseError as exc:
            logger.info("beat: another one leads in some seconds: %s", exc)

    def _publish(self, entry: BeatEntry, producer: Any, **kwargs: Any) -> Any:
        publish = partial(super().apply_async, entry, producer=producer, advance=False, **kwargs)
        if not entry.coalesces:
            return publish()
        going = publish_one(f"schedule {entry.name}", entry.task_id, publish)
        if going != entry.task_id:
            logger.info("beat: %s goes on as %s, so this tick has no task", entry.name, going)
        return None

    def _leads(self) -> bool:
        close_old_connections()
        leads = self._lead.keep()
        if leads is not self._led:
            self._led = leads
            logger.info("beat: %s leads", "this one" if leads else "another one")
            if leads:
                self._read_anew()
        return leads

    def _try_again(self, entry: BeatEntry) -> None:
        # The heap has the entry after the tick, as if that were done; the schedule has this one.
        self._heap = None
        known = self._schedule.get(entry.name)
        if known is not None:
            known.put_off(RETRY)

    def _read_anew(self) -> None:
        # What changes while it is read is noticed afterwards; but the first change of all is not,
        # for want of an earlier one.
        if self.Changes.last_change() is None:
            self.Changes.update_changed()
        self._last_timestamp = self.Changes.last_change()
        self._initial_read, self._heap = True, None
