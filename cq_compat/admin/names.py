"""The names of tasks, found without reading the tasks."""

from __future__ import annotations

from django.db import connections

from cq_compat.database import alias

#: Names looked at.
LIMIT = 1000
#: From each name the index leads to the next one: as many look-ups as there are names.
_STATEMENT = """
WITH RECURSIVE names (name) AS (
    SELECT MIN(name) FROM cq_task
    UNION ALL
    SELECT (SELECT MIN(name) FROM cq_task WHERE name > names.name)
    FROM names WHERE names.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT %s
"""


def task_names() -> list[str]:
    """Return the different names, in their order."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(_STATEMENT, [LIMIT])
        return [row[0] for row in cursor.fetchall()]


def names_with(term: str) -> list[str]:
    """Return the names of which ``term`` is a part; case does not count."""
    return [name for name in task_names() if term.lower() in name.lower()]
