"""Columns that Django has no field for."""

from __future__ import annotations

from typing import Any

from django.db import models


class KeyField(models.CharField):  # type: ignore[type-arg]
    """A name that is looked up as a whole.

    For a ``varchar`` key Django makes a second index on PostgreSQL, for patterns, which every
    insert would have to fill; by its standard name the same type has one index.
    """

    def db_type(self, connection: Any) -> str | None:
        """Return the column's type."""
        if connection.vendor == "postgresql":
            return f"character varying({self.max_length})"
        return super().db_type(connection)
