"""How a connection beside Django's is made, and what it can."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.utils import load_backend


def connection_beside(alias: str) -> Any:
    """Return a connection of Django's kind that is none of Django's; it is not open yet."""
    settings = dict(connections.settings[alias])
    # It is kept for as long as the process lives, so it is none of a pool's.
    settings["OPTIONS"] = {**settings["OPTIONS"]}
    settings["OPTIONS"].pop("pool", None)
    if _may_prepare(settings):
        # To plan a statement takes PostgreSQL three times as long as to run it.
        prepared = {"server_side_binding": True, "prepare_threshold": 5}
        settings = {**settings, "OPTIONS": {**prepared, **settings["OPTIONS"]}}
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, alias)


def has_pipeline(connection: Any) -> bool:
    """Tell whether statements can be sent while earlier ones are not answered yet."""
    connection.ensure_connection()
    if not hasattr(connection.connection, "pipeline"):  # psycopg 2, and other databases
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()  # by the client's library


def _may_prepare(settings: dict[str, Any]) -> bool:
    # Where a pooler gives each transaction another session, Django is told by this setting.
    if settings.get("DISABLE_SERVER_SIDE_CURSORS") or "postgresql" not in settings["ENGINE"]:
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)
