"""What became of each test, read from a file of records."""

import json
from dataclasses import dataclass
from pathlib import Path

#: From best to worst: a test is what the worst of its reports is.
OUTCOMES = ("passed", "skipped", "xfailed", "failed")


@dataclass
class Result:
    """The outcome of one test; `reruns` counts the failures before it."""

    outcome: str
    reason: str = ""
    seconds: float = 0.0
    reruns: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether it failed, be it expected or not."""
        return self.outcome in ("failed", "xfailed")


def read(path: Path) -> dict[str, Result]:
    """Return the results by the test's id, in the order of the run."""
    results: dict[str, Result] = {}
    for line in path.read_text().splitlines():
        _add(results, **json.loads(line))
    return results


def _add(results: dict[str, Result], test: str, outcome: str, reason: str, seconds: float) -> None:
    result = results.setdefault(test, Result("passed"))
    result.seconds += seconds
    if outcome == "rerun":  # what was recorded so far does not count
        result.outcome, result.reason = "passed", ""
        result.reruns += 1
    elif OUTCOMES.index(outcome) > OUTCOMES.index(result.outcome):
        result.outcome, result.reason = outcome, reason
