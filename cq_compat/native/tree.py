"""A task's family as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models.expressions import RawSQL

from cq_compat.dialects import dialect_of

#: What is read of each member.
COLUMNS = ("id", "name", "state", "parent_id", "previous_id", "is_subtask", "created_at")
#: Ids in one statement.
CHUNK = 500


@dataclass
class Tree:
    """A task and what is below it.

    Args:
        branches: the trees of what it has published, subtasks or not, and of what is chained to it,
            in the order in which that was published.
        is_cut: whether there are members that were not read.
    """

    task: Any
    branches: list[Tree] = field(default_factory=list)
    is_cut: bool = False

    def __iter__(self) -> Iterator[Tree]:
        """Yield the trees of all members, this one first."""
        yield self
        for branch in self.branches:
            yield from branch

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def state(self) -> str:
        """The state of the task."""
        return str(self.task.state)

    @property
    def is_next(self) -> bool:
        """Whether the task is chained to the one above it."""
        return self.task.previous_id is not None

    def __str__(self) -> str:
        lines = [*self._lines(), *(["…"] if self.is_cut else [])]
        return "\n".join(lines)

    def _lines(self, first: str = "", others: str = "") -> Iterator[str]:
        yield f"{first}{self.task.name}[{self.task.pk}] {self.state}"
        for branch in self.branches:
            is_last = branch is self.branches[-1]
            mark = "→ " if branch.is_next else "─ "
            yield from branch._lines(
                f"{others}{'└' if is_last else '├'}{mark}", f"{others}{' ' if is_last else '│'}  "
            )


def tree_of(task: Any, limit: int) -> Tree:
    """Return the tree of a task with ``limit`` members at most, read level by level."""
    rows = type(task)._default_manager.only(*COLUMNS)
    found = {task.pk: Tree(rows.filter(pk=task.pk).first() or task)}
    level: Sequence[str] = [task.pk]
    is_cut = False
    while level and not is_cut:
        members = _below(rows, level, limit - len(found) + 1)
        new = [member for member in members if member.pk not in found]
        is_cut = len(found) + len(new) > limit
        new = new[: limit - len(found)]
        found |= {member.pk: Tree(member) for member in new}
        level = [member.pk for member in new]
    root = found[task.pk]
    root.is_cut = is_cut
    _arrange(root, found)
    return root


def _below(rows: Any, ids: Sequence[str], limit: int) -> list[Any]:
    found: dict[str, Any] = {}
    insertion = dialect_of(connections[rows.db].vendor).insertion
    rows = rows.annotate(insertion=RawSQL(f"cq_task.{insertion}", ()))
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        for column in ("parent_id__in", "previous_id__in"):
            some = rows.filter(**{column: chunk}).order_by("created_at", "insertion")[:limit]
            found |= {row.pk: row for row in some}
        if len(found) > limit:
            break
    return sorted(found.values(), key=lambda row: (row.created_at, row.insertion))


def _arrange(root: Tree, found: dict[str, Tree]) -> None:
    for tree in found.values():
        if tree is not root:
            above = found.get(tree.task.previous_id) or found.get(tree.task.parent_id)
            (above or root).branches.append(tree)
