"""How single databases keep the table of tasks."""

from __future__ import annotations

from typing import Any

#: Per cent of a page of PostgreSQL that inserts fill. A task's row is changed three or four times:
#: with room in its page, a change of unindexed columns touches no index (a "heap-only tuple"
#: update).
FILLFACTOR = 70


def set_fillfactor(apps: Any, schema_editor: Any) -> None:
    """Leave room in every page."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE cq_task SET (fillfactor = {FILLFACTOR})")


def index_families(apps: Any, schema_editor: Any) -> None:
    """Index subtasks that have not ended where MySQL makes whole indexes of partial ones."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("CREATE INDEX cq_task_family ON cq_task (parent_id, finished_at)")
