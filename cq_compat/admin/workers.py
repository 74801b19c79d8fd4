"""The admin's pages of workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from cq_compat.admin.marks import moment
from cq_compat.admin.pages import BoundedPaginator
from cq_compat.admin.readonly import ReadOnlyAdmin
from cq_compat.clock import Now
from cq_compat.models import Worker
from cq_compat.status import held_tasks

_ALIVE = Q(stopped_at__isnull=True, lease_until__gt=Now())


class AliveFilter(admin.SimpleListFilter):
    """By whether a worker's lease is valid."""

    title = _("lease")
    parameter_name = "lease"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> Iterable[tuple[str, Any]]:
        """Return both."""
        return [("alive", _("Alive")), ("over", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Ask the database's clock."""
        if self.value() == "alive":
            return queryset.filter(_ALIVE)
        return queryset.exclude(_ALIVE) if self.value() == "over" else queryset


class WorkerAdmin(ReadOnlyAdmin):
    """Workers, what they hold and for how long they may."""

    list_display = ("name", "alive", "number", "broker_url", "held", "lease", "seen", "since")
    list_display_links = ("name",)
    list_filter = (AliveFilter,)
    list_per_page = 50
    list_max_show_all = 0
    ordering = ("-started_at",)
    paginator = BoundedPaginator
    search_fields = ("hostname__startswith",)
    fields = ("hostname", "alive", "pid", "broker", "held", "lease_until", "seen_at", "started_at")
    readonly_fields = ("alive", "held")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Let the database's clock say who is alive."""
        alive = Case(
            When(_ALIVE, then=Value(True)), default=Value(False), output_field=BooleanField()
        )
        return super().get_queryset(request).annotate(is_alive=alive)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count what all of them hold at once."""
        changes = super().get_changelist_instance(request)
        held = held_tasks()
        for worker in changes.result_list:
            worker.held_tasks = held.get(worker.pk, 0)
        return changes

    @admin.display(description=_("worker"))
    def name(self, worker: Worker) -> str:
        """Return the node's name."""
        return worker.hostname

    @admin.display(description=_("alive"), boolean=True)
    def alive(self, worker: Any) -> bool:
        """Return whether the lease is valid."""
        return bool(worker.is_alive)

    @admin.display(description=_("process id"))
    def number(self, worker: Worker) -> str:
        """Return the process id, which is no quantity."""
        return str(worker.pid)

    @admin.display(description=_("broker"))
    def broker_url(self, worker: Worker) -> str:
        """Return the broker."""
        return worker.broker

    @admin.display(description=_("tasks held"))
    def held(self, worker: Any) -> str:
        """Return how many tasks it holds, and the way to them."""
        held = getattr(worker, "held_tasks", None)
        if held is None:
            held = worker.tasks.live().count()
        if not held:
            return "0"
        url = reverse(f"{self.admin_site.name}:cq_task_changelist")
        query = f"owner__id__exact={worker.pk}&state=unfinished"
        return format_html('<a href="{}?{}">{}</a>', url, query, held)

    @admin.display(description=_("lease until"))
    def lease(self, worker: Worker) -> Any:
        """Return the end of the lease."""
        return moment(worker.lease_until)

    @admin.display(description=_("seen at"))
    def seen(self, worker: Worker) -> Any:
        """Return its last sign of life."""
        return moment(worker.seen_at)

    @admin.display(description=_("started at"))
    def since(self, worker: Worker) -> Any:
        """Return when it began."""
        return moment(worker.started_at)
