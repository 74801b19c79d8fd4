"""The family of a task, as the page wants it: a tree that grows while one looks at it."""

from collections.abc import Iterator
from typing import Any

from demo.live.tasks import percent, short

LINES = 12


def family_of_youngest(name: str) -> dict[str, Any]:
    """Return the family of the youngest task of that name, and the last lines of its log."""
    from cq_compat.models import Task  # a model, which Django must have loaded

    root = Task.objects.filter(name=name).first()
    if root is None:
        return {"family": [], "log": []}
    tree = root.tree()
    rows = Task.objects.in_bulk([branch.task.pk for branch in tree])
    lines = list(root.logs.order_by("-id")[:LINES])
    return {
        "family": list(_members(tree, rows)),
        "log": [{"id": line.pk, "text": line.message} for line in reversed(lines)],
    }


def _members(tree: Any, rows: dict[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    row = rows.get(tree.task.pk, tree.task)
    yield {
        "id": row.pk,
        "name": row.name.rpartition(".")[2],
        "args": short(row.args),
        "state": row.state,
        "depth": depth,
        "chained": tree.is_next,
        "progress": percent(row),
    }
    for branch in sorted(tree.branches, key=lambda branch: branch.is_next):  # as they run
        yield from _members(branch, rows, depth + 1)
