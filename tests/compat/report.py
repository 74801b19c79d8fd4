"""Compare the results over two brokers, and say it as a table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.compat.results import Result

NOT_RUN = Result("failed", "not run")
COLUMNS = ("suite", "redis passed", "channels passed", "channels alone failed", "both failed")


@dataclass
class Row:
    """A part of a suite, test by test; `passed` counts for redis:// and for channels://."""

    name: str
    passed: list[int] = field(default_factory=lambda: [0, 0])
    only_channels: dict[str, str] = field(default_factory=dict)
    only_redis: dict[str, str] = field(default_factory=dict)
    both: dict[str, str] = field(default_factory=dict)
    differs: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    reruns: list[int] = field(default_factory=lambda: [0, 0])

    def add(
        self, test: str, redis: Result | None, channels: Result | None, difference: str = ""
    ) -> None:
        """Count one test; a test that was run over one broker alone has failed over the other.

        `difference` says why it may fail over channels:// alone.
        """
        redis, channels = redis or NOT_RUN, channels or NOT_RUN
        for index, result in enumerate((redis, channels)):
            self.passed[index] += result.outcome == "passed"
            self.reruns[index] += result.reruns
        if redis.has_failed and channels.has_failed:
            self.both[test] = channels.reason
        elif redis.outcome == "skipped" and channels.outcome == "xfailed":  # nothing to compare
            self.skipped[test] = (
                f"over redis://, expected to fail over channels://: {channels.reason}"
            )
        elif channels.has_failed and difference:
            self.differs[test] = difference
        elif channels.has_failed:
            self.only_channels[test] = channels.reason
        elif redis.has_failed:
            self.only_redis[test] = redis.reason
        elif "skipped" in (redis.outcome, channels.outcome):
            self.skipped[test] = f"{_where(redis, channels)}: {redis.reason or channels.reason}"

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table says of it."""
        counts = (*self.passed, len(self.only_channels), len(self.both))
        return (self.name, *map(str, counts))


def compare(
    redis: Mapping[str, Result],
    channels: Mapping[str, Result],
    row_of: Callable[[str], str],
    difference_of: Callable[[str], str] = lambda test: "",
) -> list[Row]:
    """Return the rows of a report, in the order of the tests.

    `row_of` names the row of a test; `difference_of` says why it may fail over channels:// alone.
    """
    rows: dict[str, Row] = {}
    for test in {**redis, **channels}:
        name = row_of(test)
        rows.setdefault(name, Row(name)).add(
            test, redis.get(test), channels.get(test), difference_of(test)
        )
    return list(rows.values())


def render(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the report."""
    table = [COLUMNS, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        first, *numbers = (cell.ljust if n == 0 else cell.rjust for n, cell in enumerate(line))
        yield "  ".join(
            [first(widths[0]), *(just(w) for just, w in zip(numbers, widths[1:], strict=True))]
        )
    yield from _listed(rows)


def _listed(rows: list[Row]) -> Iterator[str]:
    for title, attribute in (
        ("Failed over channels:// alone", "only_channels"),
        ("Failed over channels:// because it differs", "differs"),
        ("Failed over both", "both"),
        ("Failed over redis:// alone", "only_redis"),
        ("Skipped", "skipped"),
    ):
        found = {test: why for row in rows for test, why in getattr(row, attribute).items()}
        if found:
            yield f"\n{title}:"
            yield from (f"  {test}\n      {_first_line(why)}" for test, why in found.items())
    for name, index in (("redis", 0), ("channels", 1)):
        if count := sum(row.reruns[index] for row in rows):
            yield f"\n{count} failures over {name}:// passed when Celery's own marks repeated them."


def _where(redis: Result, channels: Result) -> str:
    if redis.outcome == channels.outcome:
        return "over both"
    return "over redis://" if redis.outcome == "skipped" else "over channels://"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "no reason given"
