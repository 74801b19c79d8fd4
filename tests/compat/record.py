"""A pytest plugin that writes each report to the file of records, one JSON object a line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FILE = "CQ_COMPAT_RECORD"  # the environment variable that names the file


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the report of a test's set-up, call, tear-down or subtest."""
    outcome = str(report.outcome)
    reason = _reason(report)
    if hasattr(report, "wasxfail") and outcome == "skipped":
        outcome, reason = "xfailed", report.wasxfail
    _write(report.nodeid, outcome, reason, getattr(report, "duration", 0.0))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record a module that cannot be imported, or skips itself."""
    if not report.passed:
        _write(report.nodeid, report.outcome, _reason(report), 0.0)


def _write(test: str, outcome: str, reason: str, seconds: float) -> None:
    record = {"test": test, "outcome": outcome, "reason": reason, "seconds": seconds}
    with Path(os.environ[FILE]).open("a") as file:
        file.write(json.dumps(record) + "\n")


def _reason(report: Any) -> str:
    error = report.longrepr
    if error is None:
        return ""
    if isinstance(error, tuple):  # where and why it is skipped
        return str(error[2]).removeprefix("Skipped: ")
    crash = getattr(error, "reprcrash", None)
    return str(crash.message if crash else error)
