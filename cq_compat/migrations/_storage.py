"""How PostgreSQL keeps the table of tasks; other databases have no such options."""

from __future__ import annotations

from typing import Any

#: Per cent of a page that inserts fill. A task's row is changed three or four times: with room in
#: its page, a change of unindexed columns touches no index (a "heap-only tuple" update).
FILLFACTOR = 70


def set_fillfactor(apps: Any, schema_editor: Any) -> None:
    """Leave room in every page."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE cq_task SET (fillfactor = {FILLFACTOR})")
