"""What the rounds of a benchmark gave, pair by pair."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.measures import Figure
from benchmarks.sides import CHANNELS, STOCK


@dataclass
class Row:
    """A figure on one link: the values of each side in the order of the rounds."""

    figure: Figure
    link: str
    target: float | None
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def ratios(self) -> list[float]:
        """`channels://` divided by stock Celery, for each pair of neighbouring runs."""
        pairs = zip(self.values[CHANNELS.name], self.values[STOCK.name], strict=False)
        return [ours / theirs for ours, theirs in pairs if theirs]

    @property
    def reached(self) -> bool | None:
        """Tell whether the target or limit is reached; None when there is none."""
        if self.figure.limit is not None:
            return statistics.median(self.values[CHANNELS.name]) < self.figure.limit
        if self.target is None:
            return None
        if not self.ratios:
            return None
        ratio = statistics.median(self.ratios)
        return ratio >= self.target if self.figure.more_is_better else ratio <= self.target


HEADER = ("", "link", "unit", STOCK.name, CHANNELS.name, "ratio", "target", "reached")


def markdown(rows: list[Row]) -> str:
    """Return a table with minimum / median / maximum of each side and the median ratio."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.figure.label,
        row.link,
        row.figure.unit,
        _spread(row.values[STOCK.name], row.figure.digits),
        _spread(row.values[CHANNELS.name], row.figure.digits),
        f"{statistics.median(row.ratios):.2f}" if row.ratios else "",
        _target(row),
        {True: "yes", False: "no", None: ""}[row.reached],
    )


def _spread(values: list[float], digits: int) -> str:
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{value:,.{digits}f}" for value in three)


def _target(row: Row) -> str:
    if row.figure.limit is not None:
        return f"< {row.figure.limit:g} {row.figure.unit}"
    if row.target is None:
        return ""
    return f"{'≥' if row.figure.more_is_better else '≤'} {row.target:g}"
