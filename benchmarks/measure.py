"""What every kind of run has in common."""

from abc import ABC, abstractmethod

from benchmarks.figures import Figure
from benchmarks.sides import CHANNELS, STOCK, Side
from benchmarks.stage import Stage

POOLS = {
    "solo": ("--pool=solo",),
    "threads": ("--pool=threads",),
    "prefork": ("--pool=prefork", "-c", "2"),
}


class Measure(ABC):
    """One kind of run; its figures come out of `run` in the order of `figures`."""

    kind: str
    pool: str | None = None
    tasks: int
    figures: tuple[Figure, ...]
    sides: tuple[Side, ...] = (STOCK, CHANNELS)
    repeats = True  # in every round; otherwise in the first one only
    needs_database = False  # whether each run has an empty one
    on_slow_link = True

    @property
    def name(self) -> str:
        """The kind and the pool."""
        return f"{self.kind}:{self.pool}" if self.pool else self.kind

    @abstractmethod
    def run(self, stage: Stage) -> tuple[float, ...]:
        """Run once, on one side, and return the figures."""


def quantile(values: list[float], share: float) -> float:
    """Return the value below which that share of the values is."""
    return sorted(values)[int(share * len(values))]
