"""The order of the runs: side after side, each first in turn, so that what drifts meets all."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from benchmarks.measure import Measure
from benchmarks.results import Row, Values
from benchmarks.sides import Link, Side
from benchmarks.stage import Servers, Stage

Report = Callable[[str], None]


def run_all(
    servers: Servers,
    links: Sequence[Link],
    measures: Sequence[Measure],
    rounds: int,
    report: Report,
) -> list[Row]:
    """Run every measure in every round, on each link, on one side right after the other."""
    runs = [
        (measure, link, [Values() for _ in measure.figures])
        for measure in measures
        for link in links
        if measure.on_slow_link or not link.slow
    ]
    for number in range(rounds):
        for measure, link, values in runs:
            if number and not measure.repeats:
                continue
            for side in _order(measure.sides, number):
                found = _run(servers, side, link, measure, f"round {number + 1}", report)
                for kept, value in zip(values, found, strict=True):
                    kept[side.name].append(value)
    return [row for run in runs for row in _rows(*run)]


def _order(sides: Sequence[Side], number: int) -> list[Side]:
    first = number % len(sides)
    return [*sides[first:], *sides[:first]]


def _rows(measure: Measure, link: Link, values: list[Values]) -> list[Row]:
    return [
        Row(figure, comparison, link, kept)
        for figure, kept in zip(measure.figures, values, strict=True)
        for comparison in figure.comparisons
    ]


def _run(
    servers: Servers, side: Side, link: Link, measure: Measure, label: str, report: Report
) -> tuple[float, ...]:
    begin = time.monotonic()
    stage = Stage(servers, side, link, measure.tasks, needs_database=measure.needs_database)
    with closing(stage):
        figures = measure.run(stage)
    values = ", ".join(
        f"{value:,.{figure.digits}f} {figure.unit}"
        for figure, value in zip(measure.figures, figures, strict=True)
    )
    seconds = time.monotonic() - begin
    report(f"{label}  {measure.name}  {link.name}  {side.name}  {values}  ({seconds:.0f} s)")
    return figures
