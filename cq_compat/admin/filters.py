"""Filters of the list of tasks, each of which an index can follow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cq_compat import states
from cq_compat.clock import Now
from cq_compat.models import Task, Worker

#: The latest tasks among which those of a queue or a worker are looked for: neither has an index.
WINDOW = 20_000
#: The latest tasks whose queues are offered.
SAMPLE = 1_000
#: Workers whose names are offered.
WORKERS = 200

UNFINISHED, WAITING, RECEIVED, RUNNING = "unfinished", "waiting", "received", "running"
PARENTS, HELD = "parents", "held"
_LIVE: dict[str, dict[str, Any]] = {
    UNFINISHED: {},
    WAITING: {"owner__isnull": True, "waiting_since__isnull": True, "is_held": False},
    RECEIVED: {"owner__isnull": False, "state": states.RECEIVED},
    PARENTS: {"waiting_since__isnull": False},
    HELD: {"is_held": True},
}
_ENDED = (states.FAILURE, states.REVOKED, states.REJECTED, states.IGNORED)
_AGES = {
    "10m": (timedelta(minutes=10), _("Last 10 minutes")),
    "1h": (timedelta(hours=1), _("Last hour")),
    "1d": (timedelta(days=1), _("Last 24 hours")),
    "7d": (timedelta(days=7), _("Last 7 days")),
    "30d": (timedelta(days=30), _("Last 30 days")),
}
Choices = Iterable[tuple[str, Any]]


class StateFilter(SimpleListFilter):
    """By what a task does or how it ended."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        """Return the states."""
        return [
            (UNFINISHED, _("Unfinished")),
            (WAITING, _("– waiting for a worker")),
            (RECEIVED, _("– received")),
            (RUNNING, _("– running")),
            (PARENTS, _("– waiting for subtasks")),
            (HELD, _("– chained to others")),
            *((state, state) for state in (states.SUCCESS, *_ENDED)),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Follow the index of what is not finished, or of what did not succeed."""
        value = self.value()
        if value in _LIVE:
            return queryset.filter(finished_at__isnull=True, **_LIVE[value])
        if value == RUNNING:
            running = queryset.filter(finished_at__isnull=True, owner__isnull=False)
            return running.exclude(state=states.RECEIVED)
        if value == states.SUCCESS:
            return queryset.filter(finished_at__isnull=False, state=value)
        return queryset.filter(ended_as=value) if value else queryset


class TimeFilter(SimpleListFilter):
    """By when a task was published."""

    title = _("published")
    parameter_name = "published"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        """Return the ages."""
        return [(key, label) for key, (_age, label) in _AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Go back as far as the age says, by the database's clock."""
        age = _AGES.get(self.value() or "")
        return queryset.filter(created_at__gte=Now() - age[0]) if age else queryset


class _RecentFilter(SimpleListFilter):
    """By a column without an index: among what is not finished, what failed, or the latest."""

    column = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Look for the value where that is soon done."""
        if not self.value():
            return queryset
        found = queryset.filter(**{self.column: self.value()})
        if request.GET.get(StateFilter.parameter_name, states.SUCCESS) != states.SUCCESS:
            return found
        latest = Task.objects.order_by("-created_at").values_list("created_at", flat=True)
        start = next(iter(latest[WINDOW : WINDOW + 1]), None)
        return found if start is None else found.filter(created_at__gt=start)

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        """Return the values that were seen lately, and the one that is asked for."""
        values = {*self.seen(), *request.GET.getlist(self.column)} - {""}
        return [(value, value) for value in sorted(values)]

    def seen(self) -> Iterable[str]:
        """Return values to offer."""
        raise NotImplementedError


class QueueFilter(_RecentFilter):
    """By queue."""

    title = _("queue (latest tasks)")
    parameter_name = column = "queue"

    def seen(self) -> Iterable[str]:
        """Return the queues of the latest tasks, and of those that wait longest."""
        queues = Task.objects.values_list("queue", flat=True)
        yield from queues.order_by("-created_at")[:SAMPLE]
        yield from queues.live().order_by("created_at")[:SAMPLE]


class WorkerFilter(_RecentFilter):
    """By the worker that had the task last."""

    title = _("worker (latest tasks)")
    parameter_name = column = "worker"

    def seen(self) -> Iterable[str]:
        """Return the names of the workers that started last."""
        return Worker.objects.order_by("-started_at").values_list("hostname", flat=True)[:WORKERS]
