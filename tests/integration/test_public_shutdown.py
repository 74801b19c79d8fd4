"""The end of real workers of every pool over a layer that is known by its public calls alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.integration.fleet import Fleet, prove_hand_back, running
from tests.integration.test_public_workers import app, project, server  # noqa: F401
from tests.servers.project import Project

pytestmark = pytest.mark.integration


@pytest.fixture
def fleet(project: Project) -> Iterator[Fleet]:  # noqa: F811
    with running(project) as fleet:
        yield fleet


def test_terminated_workers_hand_back(
    app: Celery,  # noqa: F811
    project: Project,  # noqa: F811
    fleet: Fleet,
    tmp_path: Path,
) -> None:
    prove_hand_back(app, project, fleet, tmp_path / "gate")
