"""Failed tasks in words."""

from __future__ import annotations

from typing import Any

from cq_compat.encoding import storable

#: Characters of an error that are repeated by the tasks that fail because of it.
LONGEST = 300


def failure_of(backend: Any, task_id: str, name: str) -> str:
    """Return a task that has failed, and its error."""
    try:
        error = repr(backend.get_task_meta(task_id, cache=False)["result"])
    except Exception as exc:  # the application's own: an exception that cannot be made again
        error = f"an error that cannot be read: {exc!r}"
    if len(error) > LONGEST:
        error = f"{error[:LONGEST]}…"
    return storable(f"{name}[{task_id}]: {error}")
