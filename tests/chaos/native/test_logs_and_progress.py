"""The tests of that name, while workers are killed and Redis is flushed."""

from tests.acceptance.native.test_logs_and_progress import *  # noqa: F403
