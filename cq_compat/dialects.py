"""Where the SQL of PostgreSQL, SQLite and MySQL differs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, OperationalError


@dataclass(frozen=True)
class Dialect:
    """The words of one database.

    Args:
        now: the database's clock, in the form in which Django stores a time.
        later: that clock plus a parameter of seconds.
        seconds: the seconds from the time ``{since}`` to the time ``{to}``.
        moment: a parameter of a time, in the same form.
        insertion: the column that has rows of the same time in the order of their insertion, where
            the clock is so coarse that there are such rows.
        ignore: what ends an INSERT that is to leave a row of the same ``{key}`` alone.
        pairs: what stands around a list of pairs to make it a set of rows.
        json_pairs: the condition that a task is one of a list of objects with its id and run, which
            is a parameter given twice; empty where there is none. However many they are, the
            statement is the same, and is planned once.
        json_rows: a source of tasks' columns from a list of objects, and of a number ``value`` with
            each from another; empty where there is none.
        skip_locked: what lets a SELECT pass over rows that another transaction changes.
        counts_ignored: whether an INSERT that left a row alone says so by its row count.
        has_returning: whether an UPDATE can return the rows that it changed.
    """

    now: str
    later: str
    seconds: str
    moment: str
    insertion: str
    ignore: str
    pairs: str
    json_pairs: str
    json_rows: str
    skip_locked: str
    counts_ignored: bool
    has_returning: bool


POSTGRESQL = Dialect(
    now="clock_timestamp()",
    later="(clock_timestamp() + %s * interval '1 second')",
    seconds="EXTRACT(EPOCH FROM ({to} - {since}))",
    moment="%s",
    insertion="id",
    ignore="ON CONFLICT ({key}) DO NOTHING",
    pairs="({})",
    # The ids stand in it alone, too: for them the index is searched.
    json_pairs=(
        "id = ANY (ARRAY(SELECT id FROM json_to_recordset(%s) AS wanted (id text))) AND (id, run) "
        "IN (SELECT id, run FROM json_to_recordset(%s) AS wanted (id text, run integer))"
    ),
    json_rows=(
        "ROWS FROM (json_populate_recordset(NULL::cq_task, %s), json_array_elements_text(%s)) made"
    ),
    skip_locked="FOR UPDATE SKIP LOCKED",
    counts_ignored=True,
    has_returning=True,
)
# One writer at a time, so nothing is ever locked when a statement runs.
SQLITE = Dialect(
    now="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
    later="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s || ' seconds')",
    seconds="((julianday({to}) - julianday({since})) * 86400.0)",
    moment="strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s)",
    insertion="rowid",
    ignore="ON CONFLICT ({key}) DO NOTHING",
    pairs="(VALUES {})",
    json_pairs="",
    json_rows="",
    skip_locked="",
    counts_ignored=True,
    has_returning=sqlite3.sqlite_version_info >= (3, 35),
)
MYSQL = Dialect(
    now="UTC_TIMESTAMP(6)",
    later="TIMESTAMPADD(MICROSECOND, %s * 1000000, UTC_TIMESTAMP(6))",
    seconds="(TIMESTAMPDIFF(MICROSECOND, {since}, {to}) / 1000000.0)",
    moment="%s",
    insertion="id",
    ignore="ON DUPLICATE KEY UPDATE {key} = {key}",
    pairs="({})",
    json_pairs="",
    json_rows="",
    skip_locked="FOR UPDATE SKIP LOCKED",
    counts_ignored=False,  # Django asks for rows found, not rows changed
    has_returning=False,
)
_DIALECTS = {"postgresql": POSTGRESQL, "sqlite": SQLITE, "mysql": MYSQL}


#: What MySQL says of a row of a key that there is.
_DUPLICATE = 1062


def is_duplicate(error: IntegrityError) -> bool:
    """Tell whether MySQL has refused a row because there is one of its key."""
    return error.args[:1] == (_DUPLICATE,)


def is_locked(error: Exception) -> bool:
    """Tell whether SQLite has waited in vain for the end of another's transaction."""
    return isinstance(error, OperationalError) and "is locked" in str(error)


def dialect_of(vendor: str) -> Dialect:
    """Return the dialect of a database by Django's name of its kind.

    Raises:
        NotImplementedError: there is none.
    """
    try:
        return _DIALECTS[vendor]
    except KeyError:
        raise NotImplementedError(
            f"Tasks are kept in PostgreSQL, MySQL, MariaDB or SQLite, not in {vendor}."
        ) from None


def stored_uuid(vendor: str, value: UUID) -> UUID | str:
    """Return an id as Django stores it in a database of that kind."""
    return value if vendor == "postgresql" else value.hex
