"""`python -m tests.compat`: exit 1 if a test fails over `channels://` that redis:// passes."""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.compat.brokers import CHANNELS, REDIS, ROWS, Broker
from tests.compat.differences import difference
from tests.compat.errors import CompatError
from tests.compat.report import Row, compare, render
from tests.compat.results import Result
from tests.compat.run import Run
from tests.compat.sources import CACHE
from tests.compat.suites import Suite, suites
from tests.servers.errors import ServerError


def main() -> int:
    """Run the suites and print the comparison."""
    arguments = _parse()
    folder = CACHE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    brokers = (REDIS, ROWS if arguments.rows else CHANNELS)
    rows: list[Row] = []
    try:
        for suite in suites(quick=arguments.quick):
            if not arguments.suite or suite.name in arguments.suite:
                rows += _run(suite, brokers, folder, arguments.serial)
    except (CompatError, ServerError) as error:
        print(error, file=sys.stderr)
        return 2
    print("", *render(rows), f"\nLogs: {folder}", sep="\n")
    return 1 if any(row.only_channels for row in rows) else 0


def _run(suite: Suite, brokers: tuple[Broker, ...], folder: Path, serial: bool) -> list[Row]:
    print(f"{suite.name}: ", end="", flush=True)
    begin = time.monotonic()
    results: list[dict[str, Result]] = []
    with ExitStack() as stack:
        runs = [Run(suite, broker, folder) for broker in brokers]
        if serial:
            for run in runs:
                with run:
                    results.append(run.results())
        else:
            results = [run.results() for run in [stack.enter_context(run) for run in runs]]
    print(f"{sum(map(len, results))} tests in {time.monotonic() - begin:.0f} s", flush=True)
    redis, channels = results
    keeps_rows = any(broker.keeps_rows for broker in brokers)
    return compare(redis, channels, suite.row, difference if keeps_rows else lambda test: "")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of it, in a few minutes")
    parser.add_argument("--serial", action="store_true", help="one broker after the other")
    parser.add_argument("--rows", action="store_true", help="over channels:// with tasks as rows")
    parser.add_argument("--suite", action="append", help="celery, kombu or example; repeatable")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
