"""The tests of that name, while workers are killed and Redis is flushed."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.native.test_upgrade import *  # noqa: F403
from tests.acceptance.native.test_upgrade import ALIAS
from tests.chaos.native.disturbance import SETTINGS, Disturbance
from tests.servers.project import Project
from tests.servers.redis import RedisServer


@pytest.fixture(scope="module")
def durability() -> dict[str, Any]:
    return SETTINGS


@pytest.fixture(scope="module")
def disturbance(
    upgraded: Celery, project: Project, redis_server: RedisServer
) -> Iterator[Disturbance]:
    with Disturbance(project, redis_server, ALIAS) as made:
        yield made
    assert made.kills and made.flushes, made


@pytest.fixture(scope="module")
def app(upgraded: Celery, disturbance: Disturbance) -> Celery:
    return upgraded
