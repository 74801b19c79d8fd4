"""The admin's pages of tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from cq_compat.admin.actions import FROM_TASK, VERBS, act, is_allowed
from cq_compat.admin.filters import QueueFilter, StateFilter, TimeFilter, WorkerFilter
from cq_compat.admin.marks import moment, state_badge, took
from cq_compat.admin.names import names_with
from cq_compat.admin.pages import BoundedPaginator
from cq_compat.admin.readonly import ReadOnlyAdmin
from cq_compat.admin.schedules import ScheduleFilter
from cq_compat.admin.task_page import TaskPage
from cq_compat.models import Task


class TaskAdmin(TaskPage, ReadOnlyAdmin):
    """A list that is as quick with ten million tasks as with ten, and a page for each."""

    list_display = (
        "list_name",
        "list_state",
        "list_queue",
        "list_worker",
        "list_time",
        "list_took",
    )
    list_display_links = ("list_name",)
    list_filter = (StateFilter, TimeFilter, QueueFilter, WorkerFilter, ScheduleFilter)
    list_per_page = 50
    list_max_show_all = 0
    ordering = ("-created_at",)
    paginator = BoundedPaginator
    search_fields = ("pk",)
    search_help_text = _("An id, or a part of a task's name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the long columns to the page that shows them."""
        long = ("message", "encoded_result", "traceback", "children")
        return super().get_queryset(request).defer(*long)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find a task by its id, or tasks by a part of their name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if Task.objects.filter(pk=term).exists():
            return queryset.filter(pk=term), False
        return queryset.filter(name__in=names_with(term)), False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the verbs that the user may use."""
        return {
            verb.name: (partial(act, verb), verb.name, verb.label)
            for verb in VERBS
            if is_allowed(request, verb)
        }

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a task with the verbs that are for it."""
        task = self.get_object(request, object_id)
        verbs = [verb for verb in VERBS if task and verb.fits(task) and is_allowed(request, verb)]
        context = {
            "verbs": verbs,
            "checkbox": ACTION_CHECKBOX_NAME,
            "from_task": FROM_TASK,
            "list_url": reverse(f"{self.admin_site.name}:{self.opts.app_label}_task_changelist"),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("task"))
    def list_name(self, task: Task) -> str:
        """Return the name and the id."""
        return format_html('{} <span class="cq-id">{}</span>', task.name or "?", task.pk)

    @admin.display(description=_("state"))
    def list_state(self, task: Task) -> str:
        """Return the state."""
        return state_badge(task)

    @admin.display(description=_("queue"))
    def list_queue(self, task: Task) -> str:
        """Return the queue."""
        return task.queue

    @admin.display(description=_("worker"))
    def list_worker(self, task: Task) -> str:
        """Return the worker that had it last."""
        return task.worker

    @admin.display(description=_("published"))
    def list_time(self, task: Task) -> Any:
        """Return when it was published."""
        return moment(task.created_at)

    @admin.display(description=_("took"))
    def list_took(self, task: Task) -> str | None:
        """Return how long its body ran."""
        return took(task)
