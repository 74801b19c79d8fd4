"""What tasks say, as the admin shows it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cq_compat.admin.marks import moment
from cq_compat.models import Task, TaskLog
from cq_compat.native.progress import percent_of, words_of
from cq_compat.redaction import Redaction

#: Lines that are shown, the last ones.
LINES = 500


def progress_bar(task: Task, redaction: Redaction) -> str:
    """Return how far a task has come."""
    done, total = task.progress_done, task.progress_total
    words = words_of(done, total, redaction.text(task.progress_message or ""))
    percent = percent_of(done, total)
    if percent is None:
        return words or "-"
    bar = '<progress class="cq-progress" max="100" value="{}">{}</progress> {}'
    return format_html(bar, f"{percent:.1f}", f"{percent:.0f} %", words)


def log_lines(task: Task, redaction: Redaction, site: str) -> str:
    """Return the last lines of a task and, if it is a top one, of all tasks below it."""
    found = list(reversed(task.logs.order_by("-id")[: LINES + 1]))
    if not found:
        return "-"
    rows = ((*_cells(line, task, site), redaction.text(line.message)) for line in found[-LINES:])
    body = format_html_join("", _ROW, rows)
    return format_html('{}<table class="cq-log">{}</table>', _missing(found), body)


_ROW = '<tr class="cq-level-{}"><td>{}</td><td title="{}">{}</td><td>{}<pre>{}</pre></td></tr>'


def _cells(line: TaskLog, task: Task, site: str) -> tuple[Any, ...]:
    level = line.level_name
    return level.lower(), moment(line.created_at), line.logger, level, _origin(line, task, site)


def _origin(line: TaskLog, task: Task, site: str) -> str:
    if line.task_id == task.pk:
        return ""
    url = reverse(f"{site}:cq_task_change", args=[line.task_id])
    return format_html('<a class="cq-id" href="{}">{}</a>', url, line.task_id)


def _missing(found: list[TaskLog]) -> str:
    if len(found) > LINES:
        return _("The last %d lines:") % LINES
    gone = found[0].number - 1
    if not gone:
        return ""
    return ngettext("%d earlier line is not kept.", "%d earlier lines are not kept.", gone) % gone
