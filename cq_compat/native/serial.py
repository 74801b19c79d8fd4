"""Tasks that run in place."""

from __future__ import annotations


class SerialTask:
    """A task whose body is called in place; it has no row."""
