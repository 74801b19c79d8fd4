"""The way from tasks to the schedules of django-celery-beat, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from cq_compat.admin.marks import lines

APP = "django_celery_beat"
COLUMN = "periodic_task_name"
#: Schedules that are offered.
SCHEDULES = 200


class ScheduleFilter(admin.SimpleListFilter):
    """By the schedule that a task is a tick of."""

    title = _("periodic task")
    parameter_name = COLUMN

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> Iterable[tuple[str, Any]]:
        """Return the names of the schedules, and the one that is asked for."""
        asked = request.GET.getlist(COLUMN)
        return [(name, name) for name in sorted({*_names(), *asked})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Follow the index of what schedules have published."""
        return queryset.filter(**{COLUMN: self.value()}) if self.value() else queryset


def schedule_links(name: str, site: admin.AdminSite) -> str:
    """Return links to a schedule, if this site has its page, and to all of its tasks."""
    tasks = f"{reverse(f'{site.name}:cq_task_changelist')}?{urlencode({COLUMN: name})}"
    return lines([_schedule(name, site), format_html('<a href="{}">{}</a>', tasks, _("All"))])


def _schedule(name: str, site: admin.AdminSite) -> str:
    if not apps.is_installed(APP) or not site.is_registered(_periodic_task()):
        return name
    found = _periodic_task().objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        return name
    url = reverse(f"{site.name}:{APP}_periodictask_change", args=[found])
    return format_html('<a href="{}">{}</a>', url, name)


def _names() -> list[str]:
    if not apps.is_installed(APP):
        return []
    names = _periodic_task().objects.order_by("name").values_list("name", flat=True)
    return list(names[:SCHEDULES])


def _periodic_task() -> Any:
    return apps.get_model(APP, "PeriodicTask")
