"""The long load: `python -m tests.chaos [TASKS]`."""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["CQ_TEST_TASKS"] = sys.argv[1] if len(sys.argv) > 1 else "20000"
    sys.exit(pytest.main(["-s", "tests/chaos/test_rows_load.py"]))
