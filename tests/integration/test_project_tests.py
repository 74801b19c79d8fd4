"""A project's own tests publish and work on rows, and its test database can be dropped."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.postgres import PostgresServer
from tests.servers.project import Project

MEMORY = {
    "BACKEND": "channels.layers.InMemoryChannelLayer",
    "CONFIG": {"capacity": 1000, "expiry": 3600},
}


@pytest.mark.parametrize("settings", [{"DURABLE": True}, {"DURABLE": False}], ids=str)
def test_the_test_database_is_let_go(
    tmp_path: Path, postgres_server: PostgresServer, settings: dict[str, Any]
) -> None:
    database = postgres_server.django(postgres_server.create_database())
    project = Project(
        tmp_path,
        DATABASES={"default": database},
        CHANNEL_LAYERS={"default": MEMORY},
        CELERY_RESULT_BACKEND="cq",
        CQ=settings,
    )
    cases = "tests.project.cases" + ("" if settings["DURABLE"] else ".WorkerTest")
    done = project.python("-m", "django", "test", cases, "--noinput")
    assert "Destroying test database" in done.stderr
