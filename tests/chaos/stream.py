"""Processes that publish tasks one after the other until they are told to stop.

python -m tests.chaos.stream OUTPUT COUNT PAUSE
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from tests.chaos.stage import DEADLINE, Stage
from tests.extent import extent
from tests.servers.daemon import ROOT
from tests.servers.lifetime import die_with_parent
from tests.servers.waiting import wait_until

#: Seconds between two tasks of a process.
PAUSE = extent(0.02, 0.005)
_numbers = itertools.count(1)


class Stream:
    """Some processes that publish at once; at the end the stage knows what they have published.

    Args:
        processes: how many publish.
        count: tasks of each; they stop earlier when the block ends.
        pause: seconds between two of them.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        processes: int = 1,
        count: int = 100_000,
        pause: float = PAUSE,
    ) -> None:
        self._stage = stage
        self._processes: list[subprocess.Popen[bytes]] = []
        self._arguments = (str(count), str(pause))
        self._outputs = [
            stage.project.directory / f"published-{next(_numbers)}" for _ in range(processes)
        ]

    def __enter__(self) -> Stream:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.stream", str(output), *self._arguments],
                cwd=ROOT,
                env={**os.environ, **self._stage.project.env},
                preexec_fn=die_with_parent(),
            )
            for output in self._outputs
        ]
        return self

    @property
    def is_running(self) -> bool:
        """Whether a process publishes still."""
        return any(process.poll() is None for process in self._processes)

    def ids(self, word: str = "accepted") -> set[str]:
        """Return the ids of the tasks that were `accepted`, or of those that were `asked` for."""
        existing = [output for output in self._outputs if output.exists()]
        lines = [line for output in existing for line in output.read_text().splitlines(True)]
        return {line.split()[1] for line in lines if line.startswith(word) and line.endswith("\n")}

    def wait_more(self, count: int) -> None:
        """Return when so many more have been published."""
        before = len(self.ids())
        wait_until(lambda: len(self.ids()) >= before + count, DEADLINE, "more to be published")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()
        self._stage.published.update(self.ids())
        self._stage.asked.update(self.ids("asked"))


def _main(output: Path, count: int, pause: float) -> None:
    import django

    django.setup()
    from cq_compat.errors import CqError
    from tests.project.tasks import trace, trace_late

    with output.open("a", buffering=1) as notes:
        for number in range(count):
            task_id = str(uuid4())
            notes.write(f"asked {task_id}\n")
            try:
                (trace, trace_late)[number % 2].apply_async(task_id=task_id)
                notes.write(f"accepted {task_id}\n")
            except CqError:
                time.sleep(0.1)  # refused, or so it seems: the database is away
            time.sleep(pause)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
