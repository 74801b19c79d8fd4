"""The oldest releases that are tested are those that may be installed."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def release(version: str) -> list[int]:
    """Return the numbers of a release, without zeros at its end: 5.4 is 5.4.0."""
    return [int(number) for number in re.sub(r"(\.0)+$", "", version).split(".")]


def test_oldest_releases_are_the_minimums() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    minimums = dict(re.findall(r'"([\w-]+)(?:\[\w+\])?>=([\d.]+)"', project))
    pinned = re.findall(r"(?m)^([\w-]+)==([\d.]+)$", (ROOT / "tests/oldest.txt").read_text())
    of_others = ("psycopg-binary", "psycopg-pool")
    oldest = {name: version for name, version in pinned if name not in of_others}

    for name, version in oldest.items():
        assert release(minimums[name]) == release(version), name
    users = project.partition("dependencies = [")[2].partition("\ntest = [")[0]
    assert set(re.findall(r'"([\w-]+)(?:\[\w+\])?>=[\d.]+"', users)) <= set(oldest)
