"""Thousands of tasks while the layer loses everything and workers die, again and again."""

from __future__ import annotations

import os

from tests.chaos.rows_load import run_load
from tests.chaos.stage import Stage

#: `python -m tests.chaos` runs the same with twenty thousand.
TASKS = int(os.environ.get("CQ_TEST_TASKS", "2000"))


def test_nothing_is_lost_or_repeated_under_load(stage: Stage) -> None:
    report = run_load(stage, TASKS)
    print(report)
    assert report.losses > 0 and report.deaths > 0
    assert report.tasks == TASKS
    assert not report.faults, report
