"""How a task's family looks on its page."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from cq_compat.admin.marks import task_link
from cq_compat.models import Task
from cq_compat.native.tree import Tree

#: Members of a family that are shown, and generations: lists further in could not be read.
MEMBERS, DEPTH = 200, 20


def family_tree(task: Task, site: str) -> str:
    """Return the family of a task from its first ancestor on, with links and states."""
    tree = (task.root or task).tree(MEMBERS)
    if len(tree) == 1:
        return "-"
    shown = format_html('<ul class="cq-tree">{}</ul>', _item(tree, task, site, DEPTH))
    return format_html("{}<p>{}</p>", shown, _("There are more.")) if tree.is_cut else shown


def _item(tree: Tree, task: Task, site: str, depth: int) -> SafeString:
    mark = "→ " if tree.is_next else ""
    kind = "cq-here" if tree.task.pk == task.pk else "cq-kin"
    below = format_html_join("", "{}", ((one,) for one in _items(tree, task, site, depth - 1)))
    link = task_link(tree.task, site)
    return format_html(
        '<li><span class="{}">{}{}</span>{}</li>',
        kind,
        mark,
        link,
        format_html("<ul>{}</ul>", below) if below else "",
    )


def _items(tree: Tree, task: Task, site: str, depth: int) -> Iterator[SafeString]:
    if depth > 0:
        for branch in tree.branches:
            yield _item(branch, task, site, depth)
    elif tree.branches:
        yield format_html("<li>{}</li>", "…")
