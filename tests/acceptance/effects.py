"""What the bodies of `tests.project.native` write into the database of the rows."""

from django.db import connections


def make_table(alias: str) -> None:
    """Make the table that they write to."""
    with connections[alias].cursor() as cursor:
        cursor.execute("CREATE TABLE effect (task_id varchar(255) NOT NULL)")


def make_constraint(alias: str) -> None:
    """Make the tables of a reference that is checked when a transaction commits."""
    with connections[alias].cursor() as cursor:
        cursor.execute("CREATE TABLE owner (id integer PRIMARY KEY)")
        cursor.execute(
            "CREATE TABLE owned (owner integer REFERENCES owner DEFERRABLE INITIALLY DEFERRED)"
        )


def count(alias: str, task_id: str) -> int:
    """Return how often the body of a task has written."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM effect WHERE task_id = %s", [task_id])
        return int(cursor.fetchone()[0])
