"""How tasks look wherever the admin shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join

from cq_compat.models import Task


def state_badge(task: Task) -> str:
    """Return the state in its colour."""
    return format_html('<span class="cq-state cq-{}">{}</span>', task.state.lower(), task.state)


def moment(value: datetime | None) -> str | None:
    """Return a time of day to the second, with its date below."""
    if value is None:
        return None
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return format_html(
        '<time class="cq-time" datetime="{}">{} <span>{}</span></time>',
        local.isoformat(),
        local.strftime("%H:%M:%S"),
        date_format(local, "SHORT_DATE_FORMAT"),
    )


def took(task: Task) -> str | None:
    """Return how long the body ran."""
    if task.started_at is None or task.finished_at is None:
        return None
    seconds = (task.finished_at - task.started_at).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def task_link(task: Task, site: str) -> str:
    """Return a link to a task's page, with its state."""
    url = reverse(f"{site}:cq_task_change", args=[task.pk])
    return format_html('<a href="{}">{}</a> {}', url, str(task), state_badge(task))


def lines(items: Iterable[str]) -> str:
    """Return items below each other."""
    return format_html_join("", '<div class="cq-line">{}</div>', ((item,) for item in items))


def table(rows: Iterable[tuple[Any, Any]]) -> str:
    """Return labels with what belongs to them."""
    body = format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", rows)
    return format_html('<table class="cq-table">{}</table>', body)


def block(text: str) -> str:
    """Return a text as it is."""
    return format_html('<pre class="cq-text">{}</pre>', text) if text else "-"
