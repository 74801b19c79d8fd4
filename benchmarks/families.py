"""Time families of one root, branches and leaves, from the publication to the root's result.

    python -m benchmarks.families [--leaves 1000 2000 5000 10000] [--flat] [--rounds 1]

One worker of two processes, with tasks and results in a PostgreSQL of its own; `--flat` puts all
leaves under one parent.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import psycopg

from tests.chaos.publisher import Publisher
from tests.servers.forked import SWITCH
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

LEAVES_PER_BRANCH = 100
MODULE = "tests.project.families"
#: Seconds after which a family counts as stuck.
TIMEOUT = 600.0


class Run(NamedTuple):
    """What a family took: its tasks, seconds, and seconds of processor time, which do not depend on
    what else the machine does.
    """

    tasks: int
    seconds: float
    used: float


class Families:
    """A worker, a publisher and the database between them."""

    def __init__(self, publisher: Publisher, dsn: str, processes: Sequence[int]) -> None:
        self._publisher = publisher
        self._dsn = dsn
        self._processes = processes

    def run(self, leaves: int, *, flat: bool) -> Run:
        """Run a family."""
        before = self._used()
        name, args = ("branch", (leaves,))
        if not flat:
            name, args = "root", (leaves // LEAVES_PER_BRANCH, LEAVES_PER_BRANCH)
        (task_id,) = self._publisher.publish(name, *args, module=MODULE)
        ended = "SELECT 1 FROM cq_task WHERE id = %s AND finished_at IS NOT NULL"
        wait_until(lambda: self._fetch(ended, task_id), TIMEOUT, "the family to end", 0.05)
        [(seconds, state)] = self._fetch(
            "SELECT extract(epoch FROM finished_at - created_at), state FROM cq_task WHERE id = %s",
            task_id,
        )
        [(members, well)] = self._fetch(
            "SELECT count(*), count(*) FILTER (WHERE state = 'SUCCESS') FROM cq_task "
            "WHERE root_id = %s",
            task_id,
        )
        assert (state, members) == ("SUCCESS", well)
        return Run(int(str(members)), float(str(seconds)), self._used() - before)

    def _used(self) -> float:
        """Return the seconds of processor time that the worker and the database have used."""
        found = [psutil.Process(pid) for pid in self._processes]
        found += [child for process in found for child in process.children(recursive=True)]
        return sum(_used(process) for process in found)

    def _fetch(self, statement: str, *params: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            return connection.execute(statement, params).fetchall()


def _used(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.NoSuchProcess:  # its parent counts it from now on
        return 0.0


@contextmanager
def families() -> Iterator[Families]:
    """Start the servers, the worker and the publisher."""
    with RedisServer() as redis, PostgresServer().start() as postgres, _folder() as folder:
        database = postgres.create_database()
        project = Project.on_redis(
            folder,
            redis,
            DATABASES={"default": postgres.django(database)},
            CQ={},
            CELERY_RESULT_BACKEND="cq",
            CELERY_IMPORTS=[MODULE],
            # Otherwise Celery's Django support opens a connection for each body.
            CELERY_DB_REUSE_MAX=1000,
        )
        project.python("-m", "django", "migrate", "cq", "--verbosity=0")
        publisher = Publisher(project.env)
        with project.worker("-c", "2", "--without-gossip", "--without-mingle") as worker:
            yield Families(publisher, postgres.dsn(database), [worker.pid, postgres.pid])
        publisher.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    """Parse the command line, run, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("--leaves", type=int, nargs="+", default=[1000, 2000, 5000, 10_000])
    parser.add_argument("--flat", action="store_true", help="all leaves under one parent")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    os.environ[SWITCH] = "0"  # workers as their users start them
    found: dict[int, list[Run]] = {leaves: [] for leaves in options.leaves}
    with families() as stage:
        stage.run(LEAVES_PER_BRANCH, flat=options.flat)  # the first has connections to make
        for _ in range(options.rounds):
            for leaves in options.leaves:
                found[leaves].append(stage.run(leaves, flat=options.flat))
    print("| leaves | tasks | seconds | tasks/s | ms of processor time per task |")
    print("|---|---|---|---|---|")
    for leaves, runs in found.items():
        tasks, seconds = runs[0].tasks, median(run.seconds for run in runs)
        used = median(run.used for run in runs) / tasks * 1000
        print(f"| {leaves:,} | {tasks:,} | {seconds:.1f} | {tasks / seconds:,.0f} | {used:.2f} |")


if __name__ == "__main__":
    main()
