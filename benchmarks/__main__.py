"""Compare `channels://`, with rows and without, with Celery over `redis://` and print one table."""

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

from benchmarks.databases import Databases
from benchmarks.durable import WORKERS, Bulk, EndToEnd, Transaction
from benchmarks.links import round_trip, slow_link
from benchmarks.measure import POOLS, Measure
from benchmarks.results import Row, markdown
from benchmarks.rounds import run_all
from benchmarks.sides import Link
from benchmarks.stage import Servers
from benchmarks.transport import Drain, Idle, Latency, Publish
from tests.servers.forked import SWITCH
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

KINDS = ("drain", "publish", "latency", "idle", "end-to-end", "bulk", "transaction")
PACKAGES = (
    *("celery", "kombu", "redis", "channels-redis", "django"),
    *("psycopg", "django-celery-results"),
)


def main() -> None:
    """Parse the command line, run, and print."""
    options = _parser().parse_args()
    os.environ[SWITCH] = "0"  # workers as their users start them
    measures = _measures(options)
    with ExitStack() as stack:
        servers = _servers(stack, measures, durable=options.fsync)
        links = [Link.direct(servers.redis)]
        if options.delay and any(measure.on_slow_link for measure in measures):
            links.append(stack.enter_context(slow_link(servers.redis, options.delay / 1000)))
        setting = _setting(servers, links, options)
        _report(json.dumps(setting))
        rows = run_all(servers, links, measures, options.rounds, _report)
    print(_title(setting), markdown(rows), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps({**setting, "rows": list(map(_plain, rows))}, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="runs of each kind on each side (%(default)s)")
    add("--tasks", type=int, default=10_000, help="tasks to drain or to publish (%(default)s)")
    add(
        "--tasks-end-to-end",
        type=int,
        default=3_000,
        help="tasks to publish and run while it is watched (%(default)s)",
    )
    add(
        "--samples",
        type=int,
        default=500,
        help="tasks sent for a latency, or in transactions (%(default)s)",
    )
    add("--idle", type=float, default=20, help="seconds to watch an idle worker (%(default)s)")
    add(
        "--delay",
        type=float,
        default=0.75,
        help="milliseconds that the slow link adds to a round trip; 0: no such link (%(default)s)",
    )
    add(
        "--fsync",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let PostgreSQL wait for its disk, as in production",
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
        *(EndToEnd(pool, options.tasks_end_to_end) for pool in WORKERS),
        *(Bulk(pool, options.tasks_end_to_end) for pool in WORKERS),
        Transaction(options.samples),
    ]
    kinds, pools = _chosen("only", options.only, KINDS), _chosen("pool", options.pool, tuple(POOLS))
    return [m for m in found if m.kind in kinds and m.pool in (None, *pools)]


def _chosen(option: str, text: str | None, known: Sequence[str]) -> Sequence[str]:
    wanted = text.split(",") if text else known
    if unknown := set(wanted).difference(known):
        sys.exit(f"--{option} knows {', '.join(known)}, not {', '.join(sorted(unknown))}")
    return wanted


def _servers(stack: ExitStack, measures: list[Measure], *, durable: bool) -> Servers:
    redis = stack.enter_context(RedisServer())
    if not any(measure.needs_database for measure in measures):
        return Servers(redis)
    return Servers(redis, Databases(stack.enter_context(PostgresServer(durable=durable))))


def _setting(servers: Servers, links: list[Link], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "redis_server": servers.redis.run("INFO", "server")["redis_version"],
        **(servers.databases.describe() if servers.databases else {}),
        "packages": {name: version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "tasks": options.tasks,
        "tasks_end_to_end": options.tasks_end_to_end,
        "rounds": options.rounds,
        "round_trip_ms": {link.name: round(round_trip(link) * 1000, 3) for link in links},
    }


def _title(setting: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in setting["packages"].items())
    trips = ", ".join(f"{name} {ms:.2f} ms" for name, ms in setting["round_trip_ms"].items())
    return (
        f"{setting['tasks']:,} tasks ({setting['tasks_end_to_end']:,} end to end), "
        f"{setting['rounds']} rounds, minimum / median / maximum; "
        f"the ratio is the median of the pairs.\n"
        f"{setting['cores']} cores, Python {setting['python']}, "
        f"Redis server {setting['redis_server']}, {_database(setting)}{packages}.\n"
        f"Median round trip to Redis: {trips}."
    )


def _database(setting: dict[str, Any]) -> str:
    if "postgresql" not in setting:
        return ""
    number = setting["postgresql"].split()[0]  # without that of the package
    return f"PostgreSQL {number} with fsync {setting['fsync']}, "


def _plain(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure.label,
        "unit": row.figure.unit,
        "link": row.link.name,
        "baseline": row.comparison.theirs.name,
        "compared": row.comparison.ours.name,
        "target": row.target,
        "limit": row.comparison.limit,
        "values": {"baseline": row.theirs, "compared": row.ours},
        "ratios": row.ratios,
    }


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
