"""The tests of that name, while workers are killed and Redis is flushed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.native.test_schedules import *  # noqa: F403
from tests.acceptance.native.test_schedules import ALIAS, OPTIONS, Stage
from tests.chaos.native.disturbance import SETTINGS, Disturbance


@pytest.fixture(scope="module")
def durability() -> dict[str, Any]:
    return SETTINGS


@pytest.fixture(scope="module")
def disturbance(scene: Stage) -> Iterator[Disturbance]:
    with Disturbance(scene.project, scene.redis, ALIAS, *OPTIONS) as made:
        yield made
    assert made.kills and made.flushes, made


@pytest.fixture(scope="module")
def stage(scene: Stage, disturbance: Disturbance) -> Stage:
    return scene
