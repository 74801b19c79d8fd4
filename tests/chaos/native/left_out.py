"""The cases that cannot hold while workers are killed, and why."""

from collections.abc import Callable
from typing import Any

from tests.acceptance.native import test_families as families
from tests.acceptance.native import test_tasks as tasks

#: Not run here.
LEFT_OUT: dict[Callable[..., Any], str] = {
    tasks.test_a_body_that_has_lost_its_task_is_not_replaced: "it asks the worker what it runs",
}
#: Redis is flushed, but no worker killed.
SPARED: dict[Callable[..., Any], str] = {
    families.test_a_revoked_body_goes_on: "a revoked body that a kill hits does not go on",
}
