"""Compare `channels://` with stock Celery over `redis://` and print one table."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.links import round_trip, slow_link
from benchmarks.measures import POOLS, Drain, Idle, Latency, Measure, Publish
from benchmarks.results import Row, markdown
from benchmarks.rounds import run_all
from benchmarks.sides import Link
from tests.servers.redis import RedisServer

KINDS = ("drain", "publish", "latency", "idle")
PACKAGES = ("celery", "kombu", "redis", "channels-redis", "django")


def main() -> None:
    """Parse the command line, run, and print."""
    options = _parser().parse_args()
    measures = _measures(options)
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        links = [Link.direct(server)]
        if options.delay:
            links.append(stack.enter_context(slow_link(server, options.delay / 1000)))
        setting = _setting(server, links, options)
        _report(json.dumps(setting))
        rows = run_all(server, links, measures, options.rounds, _report)
    print(_title(setting), markdown(rows), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps({**setting, "rows": list(map(_plain, rows))}, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="pairs of runs of each kind (%(default)s)")
    add("--tasks", type=int, default=10_000, help="tasks to drain or to publish (%(default)s)")
    add("--samples", type=int, default=500, help="tasks sent for a latency (%(default)s)")
    add("--idle", type=float, default=20, help="seconds to watch an idle worker (%(default)s)")
    add(
        "--delay",
        type=float,
        default=0.75,
        help="milliseconds that the slow link adds to a round trip; 0: no such link (%(default)s)",
    )
    add("--only", help=f"kinds of runs, separated by commas: {', '.join(KINDS)}")
    add("--pool", help=f"pools of the worker, separated by commas: {', '.join(POOLS)}")
    add("--json", type=Path, help="a file for every single value")
    return parser


def _measures(options: argparse.Namespace) -> list[Measure]:
    found: list[Measure] = [
        *(Drain(pool, options.tasks) for pool in POOLS),
        Publish(options.tasks),
        *(Latency(pool, options.samples) for pool in POOLS),
        *(Idle(pool, options.idle) for pool in POOLS),
    ]
    kinds, pools = _chosen("only", options.only, KINDS), _chosen("pool", options.pool, tuple(POOLS))
    return [m for m in found if m.kind in kinds and m.pool in (None, *pools)]


def _chosen(option: str, text: str | None, known: Sequence[str]) -> Sequence[str]:
    wanted = text.split(",") if text else known
    if unknown := set(wanted).difference(known):
        sys.exit(f"--{option} knows {', '.join(known)}, not {', '.join(sorted(unknown))}")
    return wanted


def _setting(server: RedisServer, links: list[Link], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "redis_server": server.run("INFO", "server")["redis_version"],
        "packages": {name: version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "tasks": options.tasks,
        "rounds": options.rounds,
        "round_trip_ms": {link.name: round(round_trip(link) * 1000, 3) for link in links},
    }


def _title(setting: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in setting["packages"].items())
    trips = ", ".join(f"{name} {ms:.2f} ms" for name, ms in setting["round_trip_ms"].items())
    return (
        f"{setting['tasks']:,} tasks, {setting['rounds']} rounds, minimum / median / maximum; "
        f"the ratio is the median of the pairs.\n"
        f"{setting['cores']} cores, Python {setting['python']}, "
        f"Redis server {setting['redis_server']}, {packages}.\n"
        f"Median round trip to Redis: {trips}."
    )


def _plain(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure.label,
        "unit": row.figure.unit,
        "link": row.link,
        "target": row.target,
        "values": row.values,
        "ratios": row.ratios,
    }


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
