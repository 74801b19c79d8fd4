"""A project on Celery's own Redis broker, its rows in PostgreSQL, and this process beside it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from django.db import connections

from cq_compat.models import Task, Worker
from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

ALIAS = "mirror"
#: Seconds for what takes less than one where the machine is not busy.
DEADLINE = 30.0


class Stage:
    """What a case of the mirror looks at.

    Args:
        project: its workers keep rows in `database`.
        app: publishes to them from this process, which keeps rows there too.
    """

    def __init__(self, project: Project, app: Celery) -> None:
        self.project, self.app = project, app

    def row(self, task_id: str) -> Task | None:
        """Return a task as it is now."""
        return Task.objects.using(ALIAS).filter(pk=task_id).first()

    def wait(self, task_id: str, state: str) -> Task:
        """Return a task's row once it has that state."""

        def found() -> Task | None:
            row = self.row(task_id)
            return row if row is not None and row.state == state else None

        return wait_until(found, DEADLINE, lambda: f"{state}, found {self.states()}")

    def wait_all(self, ids: list[str], state: str) -> None:
        """Return once all of these tasks have that state."""
        tasks = Task.objects.using(ALIAS).filter(pk__in=ids, state=state)
        wait_until(
            lambda: tasks.count() == len(ids), DEADLINE, lambda: f"{state}, found {self.states()}"
        )

    def states(self) -> dict[tuple[str, ...], int]:
        """Return how many tasks there are of each kind."""
        columns = ("name", "state", "broker", "worker")
        return dict(Counter(Task.objects.using(ALIAS).values_list(*columns)))

    def reconnect(self) -> None:
        """Look again at a database that has been away."""
        connections[ALIAS].close()

    def workers(self) -> list[str]:
        """Return the names of the workers that are alive."""
        return list(Worker.objects.using(ALIAS).alive().values_list("hostname", flat=True))


@contextmanager
def staged(
    directory: Path,
    postgres: PostgresServer,
    redis: RedisServer,
    *,
    migrated: bool = True,
    **settings: Any,
) -> Iterator[Stage]:
    """Make a stage with a database of its own."""
    database = postgres.django(postgres.create_database())
    layer = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [redis.url], "capacity": 1_000_000, "expiry": 86_400},
    }
    defaults = {
        "INSTALLED_APPS": ["cq_compat"],
        "DATABASES": {"default": database},
        "CHANNEL_LAYERS": {"default": layer},
        "CELERY_BROKER_URL": redis.url,
        "CELERY_RESULT_BACKEND": redis.url,
        "CQ": {},
    }
    project = Project(directory, **{**defaults, **settings})
    if migrated:
        migrate(project)
    with declared(**{ALIAS: database}), project.client() as app:
        try:
            yield Stage(project, app)
        finally:
            connections[ALIAS].close()


def migrate(project: Project) -> None:
    """Make the tables."""
    project.python("-m", "django", "migrate", "--verbosity=0")
