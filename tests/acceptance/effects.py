"""What the bodies of `tests.project.native` write into the database of the rows."""

from django.db import connections


def make_table(alias: str) -> None:
    """Make the table that they write to."""
    with connections[alias].cursor() as cursor:
        cursor.execute("CREATE TABLE effect (task_id varchar(255) NOT NULL)")


def count(alias: str, task_id: str) -> int:
    """Return how often the body of a task has written."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM effect WHERE task_id = %s", [task_id])
        return int(cursor.fetchone()[0])
