"""Rows of django-cq's tasks."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.utils.saferepr import saferepr
from django.db import transaction
from django.utils.dateparse import parse_datetime

from cq_compat import states
from cq_compat.backend import CqBackend
from cq_compat.encoding import encode_text, storable
from cq_compat.models import Task, TaskLog
from cq_compat.predecessor.tables import OldTask

#: The states of what has ended, by django-cq's letters.
ENDED = {
    "S": states.SUCCESS,
    "F": states.FAILURE,
    "I": states.FAILURE,
    "L": states.FAILURE,
    "E": states.REVOKED,
}
#: The letters of what has not begun: pending, queued, to be tried again.
NOT_BEGUN = "PQY"
#: What becomes of the others, and of parts of families whose other members nobody would end.
UNFINISHED = "django-cq has not finished it, and nobody knows how far it has come"
#: Rows in one transaction.
BATCH = 500


def take_over(app: Celery, alias: str) -> tuple[int, int]:
    """Make rows of finished tasks, and publish those that have not begun; return how many of each.
    What was taken over before stays as it is.
    """
    app.loader.import_default_modules()
    parents = dict(_old(alias).exclude(parent_id=None).values_list("id", "parent_id"))
    taking = Taking(app, alias, parents)
    rows = _old(alias).order_by("submitted", "id").iterator(BATCH)
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic(using=alias):
            taking.take(batch)
    return taking.kept, taking.published


class Taking:
    """Takes over batch by batch.

    Args:
        parents: the parent of each subtask.
    """

    def __init__(self, app: Celery, alias: str, parents: dict[Any, Any]) -> None:
        self.kept = self.published = 0
        self._app = app
        self._alias = alias
        self._parents = parents
        self._backend = CqBackend(app)

    def take(self, batch: list[OldTask]) -> None:
        """Take over those of a batch that were not before."""
        ids = [str(old.id) for old in batch]
        known = set(Task.objects.using(self._alias).filter(pk__in=ids).values_list("pk", flat=True))
        new = [old for old in batch if str(old.id) not in known]
        waiting = [old for old in new if self._can_run(old)]
        ended = [old for old in new if old not in waiting]
        Task.objects.using(self._alias).bulk_create(self._row(old) for old in ended)
        TaskLog.objects.using(self._alias).bulk_create(
            line for old in ended for line in self._lines(old)
        )
        for old in waiting:
            self._publish(old)
        self.kept += len(ended)
        self.published += len(waiting)

    def _can_run(self, old: OldTask) -> bool:
        is_alone = old.parent_id is None and old.previous_id is None
        return old.status in NOT_BEGUN and is_alone and _name(old) in self._app.tasks

    def _publish(self, old: OldTask) -> None:
        args, kwargs = _arguments(old)
        self._app.tasks[_name(old)].apply_async(args, kwargs, task_id=str(old.id))

    def _row(self, old: OldTask) -> Task:
        args, kwargs = _arguments(old)
        state = ENDED.get(old.status, states.FAILURE)
        encoded, content_type = self._encode(old, state)
        return Task(
            id=str(old.id),
            name=_name(old),
            state=state,
            ended_as=None if state == states.SUCCESS else state,
            args=storable(saferepr(args, 1024)),
            kwargs=storable(saferepr(kwargs, 1024)),
            retries=old.retries,
            parent_id=_text(old.parent_id),
            is_subtask=old.parent_id is not None,
            previous_id=_text(old.previous_id),
            root_id=self._root(old),
            encoded_result=encoded,
            content_type=content_type,
            traceback=old.details.get("traceback"),
            created_at=old.submitted,
            started_at=old.started,
            finished_at=_end(old),
        )

    def _encode(self, old: OldTask, state: str) -> tuple[str, str]:
        value = old.details.get("result")
        if old.status not in ENDED:
            value = self._backend.encode_result(WorkerLostError(UNFINISHED), state)
        elif state != states.SUCCESS:
            value = _error(old.details)
        return encode_text(value, self._backend.serializer)

    def _root(self, old: OldTask) -> str:
        root = old.id
        while root in self._parents:
            root = self._parents[root]
        return str(root)

    def _lines(self, old: OldTask) -> Iterator[TaskLog]:
        for number, line in enumerate(old.details.get("logs") or (), 1):
            yield TaskLog(
                task_id=line.get("origin") or str(old.id),
                root_id=str(old.id),  # the topmost task had all lines of its family
                number=number,
                logger=_name(old),
                message=storable(line.get("message", "")),
                created_at=parse_datetime(line.get("timestamp", "")) or _end(old),
            )


def _old(alias: str) -> Any:
    return OldTask._default_manager.using(alias)


def _name(old: OldTask) -> str:
    return str(old.signature.get("func_name") or "")


def _arguments(old: OldTask) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return tuple(old.signature.get("args") or ()), dict(old.signature.get("kwargs") or {})


def _end(old: OldTask) -> datetime:
    found: datetime = old.finished or old.started or old.submitted
    return found


def _error(details: dict[str, Any]) -> dict[str, Any]:
    """Return an error as Celery stores it; django-cq kept the name of its class alone."""
    name = details.get("exception") or "Exception"
    module = "builtins" if hasattr(builtins, name) else None
    return {"exc_type": name, "exc_message": [details.get("error") or ""], "exc_module": module}


def _text(key: Any) -> str | None:
    return None if key is None else str(key)
