"""The database's clock in Django's queries."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now as DjangoNow


class Now(DjangoNow):
    """The time now, in the form in which Django stores it: MySQL's own is in its server's zone."""

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Return the statement's part for MySQL and MariaDB."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)
