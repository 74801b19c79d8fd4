"""What the rounds of a benchmark gave, pair by pair."""

import statistics
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.figures import Comparison, Figure
from benchmarks.sides import Link, Side


class Values(defaultdict[str, list[float]]):
    """What one figure was on one link: by the name of the side, in the order of the rounds."""

    def __init__(self) -> None:
        super().__init__(list)


@dataclass(frozen=True)
class Row:
    """A comparison of a figure on one link."""

    figure: Figure
    comparison: Comparison
    link: Link
    values: Values

    @property
    def ours(self) -> list[float]:
        """The values of the side that is compared."""
        return self.values[self.comparison.ours.name]

    @property
    def theirs(self) -> list[float]:
        """The values of the side that it is compared with."""
        return self.values[self.comparison.theirs.name]

    @property
    def ratios(self) -> list[float]:
        """Ours divided by theirs, for each pair of neighbouring runs."""
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=False) if other]

    @property
    def target(self) -> float | None:
        """The ratio to be reached, if there is one."""
        return self.comparison.slow_target if self.link.slow else self.comparison.target

    @property
    def reached(self) -> bool | None:
        """Tell whether the target or limit is reached; None when there is none."""
        if self.comparison.limit is not None:
            return statistics.median(self.ours) < self.comparison.limit
        if self.target is None or not self.ratios:
            return None
        ratio = statistics.median(self.ratios)
        return ratio >= self.target if self.figure.more_is_better else ratio <= self.target


HEADER = ("", "link", "unit", "baseline", "compared", "ratio", "target", "reached")


def markdown(rows: list[Row]) -> str:
    """Return a table with minimum / median / maximum of each side and the median ratio."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.figure.label,
        row.link.name,
        row.figure.unit,
        _side(row, row.comparison.theirs),
        _side(row, row.comparison.ours),
        f"{statistics.median(row.ratios):.2f}" if row.ratios else "",
        _target(row),
        {True: "yes", False: "no", None: ""}[row.reached],
    )


def _side(row: Row, side: Side) -> str:
    values = row.values[side.name]
    three = (min(values), statistics.median(values), max(values))
    return f"{side.name}: " + " / ".join(f"{value:,.{row.figure.digits}f}" for value in three)


def _target(row: Row) -> str:
    if row.comparison.limit is not None:
        return f"< {row.comparison.limit:g} {row.figure.unit}"
    if row.target is None:
        return ""
    return f"{'≥' if row.figure.more_is_better else '≤'} {row.target:g}"
