"""The order of the runs: side after side, each first in turn, so that what drifts meets both."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from benchmarks.measures import Measure
from benchmarks.results import Row
from benchmarks.sides import SIDES, Link, Side
from benchmarks.stage import Stage
from tests.servers.redis import RedisServer

Report = Callable[[str], None]


def run_all(
    server: RedisServer,
    links: Sequence[Link],
    measures: Sequence[Measure],
    rounds: int,
    report: Report,
) -> list[Row]:
    """Run every measure in every round, on each link, on one side right after the other."""
    rows = {
        (measure.name, link.name): _rows(measure, link) for measure in measures for link in links
    }
    for number in range(rounds):
        for measure in measures:
            if number and not measure.repeats:
                continue
            for link in links:
                for side in SIDES[:: -1 if number % 2 else 1]:
                    figures = _run(server, side, link, measure, f"round {number + 1}", report)
                    for row, value in zip(rows[measure.name, link.name], figures, strict=True):
                        row.values[side.name].append(value)
    return [row for group in rows.values() for row in group]


def _rows(measure: Measure, link: Link) -> list[Row]:
    return [
        Row(figure, link.name, figure.slow_target if link.slow else figure.target)
        for figure in measure.figures
    ]


def _run(
    server: RedisServer, side: Side, link: Link, measure: Measure, label: str, report: Report
) -> tuple[float, ...]:
    begin = time.monotonic()
    with closing(Stage(server, side, link, measure.tasks)) as stage:
        figures = measure.run(stage)
    values = ", ".join(
        f"{value:,.{figure.digits}f} {figure.unit}"
        for figure, value in zip(measure.figures, figures, strict=True)
    )
    seconds = time.monotonic() - begin
    report(f"{label}  {measure.name}  {link.name}  {side.name}  {values}  ({seconds:.0f} s)")
    return figures
