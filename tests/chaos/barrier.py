"""Holds a writer up in the middle of a change of a task's row: a fault point without a patch."""

from __future__ import annotations

from types import TracebackType

import psycopg

from tests.chaos.stage import DEADLINE, Stage
from tests.servers.waiting import wait_until

_KEY = 4711


class Barrier:
    """While it is entered, changes of rows that meet `condition` wait inside the database.

    Args:
        condition: SQL about NEW, the row as it is to be.
    """

    def __init__(self, stage: Stage, condition: str) -> None:
        self._stage = stage
        self._condition = condition
        self._holder: psycopg.Connection | None = None

    def __enter__(self) -> Barrier:
        self._holder = psycopg.connect(
            self._stage.postgres.dsn(self._stage.database), autocommit=True
        )
        self._holder.execute("SELECT pg_advisory_lock(%s)", [_KEY])
        self._holder.execute(
            f"""
            CREATE FUNCTION barrier() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock_shared({_KEY});
                RETURN NEW;
            END $$;
            CREATE TRIGGER barrier BEFORE UPDATE ON cq_task FOR EACH ROW
                WHEN ({self._condition}) EXECUTE FUNCTION barrier();
            """
        )
        return self

    def wait_reached(self) -> None:
        """Return when somebody waits."""
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: self._stage.fetch(waiting), DEADLINE, "somebody at the barrier")

    def cut_off(self) -> None:
        """Undo the changes that wait, whose writers have died: the database would not notice."""
        self._stage.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND NOT granted"
        )

    def open(self) -> None:
        """Let those who wait go on, and nobody wait again."""
        if self._holder is not None:
            self._holder.execute("SELECT pg_advisory_unlock_all()")
            self._holder.execute("DROP TRIGGER barrier ON cq_task; DROP FUNCTION barrier")
            self._holder.close()
            self._holder = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open()
