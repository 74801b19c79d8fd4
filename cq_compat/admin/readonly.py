"""What the pages of tasks and of workers have in common: nothing is added, edited or deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at."""

    show_full_result_count = False
    sortable_by = ()  # an order without an index would sort the table
    if hasattr(admin, "ShowFacets"):  # Django 5.0
        show_facets = admin.ShowFacets.NEVER  # they count

    class Media:
        css = {"all": ["cq/admin.css"]}

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Leave out the total beside the search, which is a count up to a limit."""
        changes: Any = super().get_changelist_instance(request)
        changes.full_result_count = changes.result_count
        return changes

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are made by publishing tasks and by starting workers."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows change by verbs alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Finished tasks are forgotten; workers are deleted when they are long gone."""
        return False
