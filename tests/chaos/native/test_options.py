"""The tests of that name, while workers are killed and Redis is flushed."""

from tests.acceptance.native.test_options import *  # noqa: F403
