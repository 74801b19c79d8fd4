"""What a run gives, and what it is compared with."""

from dataclasses import dataclass

from benchmarks.sides import CHANNELS, STOCK, Side


@dataclass(frozen=True)
class Comparison:
    """One side against another; the targets are ratios, on the direct and on the slow link.

    `limit` is the most that `ours` may have, in the unit of the figure.
    """

    ours: Side = CHANNELS
    theirs: Side = STOCK
    target: float | None = None
    slow_target: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Figure:
    """A measured quantity."""

    label: str
    unit: str
    digits: int
    comparisons: tuple[Comparison, ...]
    more_is_better: bool = True
