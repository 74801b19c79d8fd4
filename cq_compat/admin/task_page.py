"""What the admin shows of one task."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from cq_compat.admin.families import family_tree
from cq_compat.admin.journal import log_lines, progress_bar
from cq_compat.admin.marks import block, lines, moment, state_badge, table, task_link, took
from cq_compat.admin.schedules import schedule_links
from cq_compat.models import Task, Worker
from cq_compat.redaction import Redaction

#: Relatives that are shown; a link leads to all.
RELATIVES = 20
FULL = "cq.view_arguments"


class TaskPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """The fields of a task's page; arguments and outcome as the user may see them."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields."""
        return [
            (None, {"fields": [("page_state", "holder"), "task_name", "page_id"]}),
            (_("Arguments"), {"fields": ["page_args", "page_kwargs"]}),
            (_("Outcome"), {"fields": ["page_progress", "page_result", "page_traceback"]}),
            (_("Log"), {"fields": ["page_logs"]}),
            (_("Times"), {"fields": ["page_times"]}),
            (_("Attempts"), {"fields": [("page_run", "retries", "deaths", "acks_late")]}),
            (
                _("Family"),
                {
                    "fields": [
                        "parent",
                        "page_previous",
                        "root",
                        "group",
                        "page_tree",
                        "page_children",
                    ]
                },
            ),
            (_("Way"), {"fields": [("broker", "exchange"), ("queue", "priority"), "periodic"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return all of them."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the task, with what the user may see of it."""
        task = super().get_object(request, object_id, from_field)
        if task is not None:
            user: Any = request.user
            task.redaction = Redaction(shows_all=user.has_perm(FULL))
        return task

    @admin.display(description=_("name"))
    def task_name(self, task: Task) -> str:
        """Return the name."""
        return task.name or "?"

    @admin.display(description=_("id"))
    def page_id(self, task: Task) -> str:
        """Return the id."""
        return format_html('<span class="cq-id">{}</span>', task.pk)

    @admin.display(description=_("state"))
    def page_state(self, task: Task) -> str:
        """Return the state."""
        return state_badge(task)

    @admin.display(description=_("worker"))
    def holder(self, task: Task) -> str:
        """Return the worker that has the task, or had it last."""
        if task.owner_id is None:
            return task.worker or "-"
        owner = Worker.objects.filter(pk=task.owner_id).first()
        if owner is None:
            return task.worker
        url = reverse(f"{self.admin_site.name}:cq_worker_change", args=[owner.pk])
        return format_html('<a href="{}">{}</a>', url, owner)

    @admin.display(description=_("arguments"))
    def page_args(self, task: Any) -> str:
        """Return the positional arguments."""
        return block(task.redaction.arguments(task.args))

    @admin.display(description=_("keyword arguments"))
    def page_kwargs(self, task: Any) -> str:
        """Return the keyword arguments."""
        return block(task.redaction.arguments(task.kwargs))

    @admin.display(description=_("progress"))
    def page_progress(self, task: Any) -> str:
        """Return how far the body has come, as it says itself."""
        return progress_bar(task, task.redaction)

    @admin.display(description=_("log"))
    def page_logs(self, task: Any) -> str:
        """Return the last lines of its log."""
        return log_lines(task, task.redaction, self.admin_site.name)

    @admin.display(description=_("result"))
    def page_result(self, task: Any) -> str:
        """Return the result, or the exception."""
        return block(task.redaction.result(task.encoded_result, task.content_type))

    @admin.display(description=_("traceback"))
    def page_traceback(self, task: Any) -> str:
        """Return the traceback."""
        return block(task.redaction.text(task.traceback or ""))

    @admin.display(description=_("run"))
    def page_run(self, task: Task) -> int:
        """Return the number of the run, as people count."""
        return task.run + 1

    @admin.display(description=_("times"))
    def page_times(self, task: Task) -> str:
        """Return the times that there are, in the order in which they pass."""
        past = task.sent_at or task.finished_at
        names = [name for name in _TIMES if not (past and name == "due_at")]
        times = [(_label(name), getattr(task, name)) for name in names]
        passed = [(label, moment(value)) for label, value in times if value is not None]
        return table([*passed, (_("took"), took(task))] if took(task) else passed)

    @admin.display(description=_("periodic task"))
    def periodic(self, task: Task) -> str:
        """Return its schedule, and the way to all that the schedule has published."""
        name = task.periodic_task_name
        return schedule_links(name, self.admin_site) if name else "-"

    @admin.display(description=_("parent"))
    def parent(self, task: Task) -> str:
        """Return the task whose body published it."""
        return self._relative(task.parent_id)

    @admin.display(description=_("root"))
    def root(self, task: Task) -> str:
        """Return the first of its ancestors."""
        return self._relative(None if task.root_id == task.pk else task.root_id)

    @admin.display(description=_("group"))
    def group(self, task: Task) -> str:
        """Return the members of its group."""
        return self._relatives("group_id", task.group_id) if task.group_id else "-"

    @admin.display(description=_("chained to"))
    def page_previous(self, task: Task) -> str:
        """Return the task that it runs after."""
        return self._relative(task.previous_id)

    @admin.display(description=_("tree"))
    def page_tree(self, task: Task) -> str:
        """Return its whole family."""
        return family_tree(task, self.admin_site.name)

    @admin.display(description=_("children"))
    def page_children(self, task: Task) -> str:
        """Return the tasks that its body published."""
        return self._relatives("parent_id", task.pk)

    def _relative(self, task_id: str | None) -> str:
        found = Task.objects.filter(pk=task_id).only(*_SHORT).first() if task_id else None
        return (task_id or "-") if found is None else task_link(found, self.admin_site.name)

    def _relatives(self, column: str, value: str) -> str:
        tasks: QuerySet[Any] = Task.objects.filter(**{column: value})
        found = list(tasks.only(*_SHORT).order_by("created_at")[: RELATIVES + 1])
        if not found:
            return "-"
        shown = [task_link(task, self.admin_site.name) for task in found[:RELATIVES]]
        if len(found) > RELATIVES:
            url = reverse(f"{self.admin_site.name}:cq_task_changelist")
            shown.append(format_html('<a href="{}?{}={}">{}</a>', url, column, value, _("All")))
        return lines(shown)


_RELATIVES = ("parent", "page_previous", "root", "group")
_SHORT = ("id", "name", "state")
_TIMES = (
    *("created_at", "eta", "expires_at", "due_at"),
    *("sent_at", "received_at", "started_at", "waiting_since", "finished_at"),
)


def _label(name: str) -> Any:
    field: Any = Task._meta.get_field(name)
    return field.verbose_name
