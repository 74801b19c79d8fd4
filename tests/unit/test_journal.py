"""What tasks say, without a database: bounds, the thread, the handler, tasks that run in place."""

import logging
import pickle
import subprocess
import sys
import threading
from copy import deepcopy
from typing import Any

import pytest
from celery import shared_task
from celery.utils.log import get_task_logger
from django.db import OperationalError

from cq_compat import current_task, task
from cq_compat.database import OwnConnection
from cq_compat.native import journal as journals
from cq_compat.native import journal_writer, unwritten
from cq_compat.native.journal import Journal, Line, Said, Step
from cq_compat.native.journal_writer import JournalWriter
from cq_compat.native.log_handler import TaskLogHandler
from cq_compat.native.progress import Progress, Progressing, from_meta
from cq_compat.native.running import handle
from cq_compat.native.unwritten import Unwritten
from tests.servers.daemon import ROOT
from tests.servers.waiting import wait_until

TIMEOUT = 10.0

FLOOD = """
from cq_compat.database import OwnConnection
from cq_compat.native.journal import Journal, Line
from cq_compat.native.journal_writer import JournalWriter

class Written(JournalWriter):
    linger = 0.01
    most = 100
    kept = []
    def _write(self, items):
        self.kept += [item.number for item in items if isinstance(item, Line)]

writer, journal = Written(OwnConnection()), Journal("a", 1)
waited = 0
for number in range(100_000):
    journal.log("line", 20, "tests", 1000)
    writer.release(journal)
    waited = max(waited, len(writer._backlog))
assert writer.flush(30.0)
assert waited <= 1000, waited
assert writer.kept[-1000:] == list(range(99_001, 100_001)), writer.kept[-5:]
assert not writer._backlog
print("bounded", len(writer.kept))
"""


class Written(JournalWriter):
    """Keeps what it is to write."""

    linger = 0.0
    calls = 0

    def reset_after_fork(self) -> None:
        super().reset_after_fork()
        self.batches: list[list[Said]] = []
        self.errors: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def _write(self, items: list[Said]) -> None:
        self.calls += 1
        assert self.gate.wait(TIMEOUT)
        if self.errors:
            raise self.errors.pop()
        self.batches.append(items)

    @property
    def written(self) -> list[Said]:
        """All of it."""
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setattr(journal_writer, "PATIENCE", TIMEOUT)  # the machine may be busy
    return Written(OwnConnection())


def messages(items: list[Any]) -> list[str]:
    return [item.message for item in items]


@pytest.mark.parametrize(
    "patch",
    [
        "",
        "from gevent import monkey; monkey.patch_all()",
        "import eventlet; eventlet.monkey_patch()",
    ],
    ids=["threads", "gevent", "eventlet"],
)
def test_a_body_that_logs_on_and_on_is_bounded(patch: str) -> None:
    setup = "import django; django.setup()"
    done = subprocess.run(
        [sys.executable, "-c", f"{patch}\n{setup}\n{FLOOD}"],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("bounded"), done.stderr


def test_a_child_begins_with_nothing_to_write(writer: Written) -> None:
    writer.gate.clear()
    journal = Journal("a", 1)
    journal.log("the parent's", logging.INFO, "tests", 10)
    writer.release(journal)

    wait_until(lambda: writer.calls == 1, TIMEOUT)

    gate = writer.gate
    writer.reset_after_fork()  # as in a child; here the parent's thread goes on beside it
    assert not writer._backlog
    writer.gate = gate
    journal.log("the child's", logging.INFO, "tests", 10)
    writer.release(journal)
    wait_until(lambda: writer.calls == 2, TIMEOUT)
    gate.set()

    wait_until(lambda: "the child's" in messages(writer.written), TIMEOUT)


def test_another_process_that_writes_to_sqlite_is_waited_for(
    writer: Written, caplog: pytest.LogCaptureFixture
) -> None:
    writer.errors = [OperationalError("database is locked")] * 5
    journal = Journal("a", 1)
    journal.log("waits", logging.INFO, "tests", 10)

    writer.settle(journal)

    assert messages(writer.written) == ["waits"]
    assert caplog.messages == []


def test_the_last_step_is_written_for_many(writer: Written) -> None:
    writer.gate.clear()
    journal = Journal("a", 1)
    writer.put(journal.progress(0, 1000, ""))
    for done in range(1, 1001):
        writer.put(journal.progress(done, 1000, ""))
    writer.gate.set()
    writer.settle(journal)

    steps = [item for item in writer.written if isinstance(item, Step)]
    assert len(steps) <= 2
    assert steps[-1].done == 1000


def test_the_end_of_a_body_waits_for_what_it_has_held_back(writer: Written) -> None:
    journal = Journal("a", 1)
    journal.log("held", logging.INFO, "tests", 10)
    assert journal.held and not writer.written

    writer.settle(journal)

    assert messages(writer.written) == ["held"]
    assert not journal.held


@pytest.mark.parametrize("tasks", [5, 100])
def test_memory_is_bounded_over_all_tasks(tasks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwritten, "LIMIT", 30)
    backlog = Unwritten()

    dropped = 0
    for n in range(1, 101):
        name = f"task-{n % tasks}"
        dropped += backlog.put(Line(name, n, logging.INFO, "tests", "x" * 2000, 1000, 0.0))
        dropped += backlog.put(Step(name, n, None, ""))

    kept = backlog.take(1000)
    lines = [item for item in kept if isinstance(item, Line)]
    assert sum(line.weight for line in lines) == 30
    assert max(line.number for line in lines) == 100
    assert len(kept) - len(lines) == min(tasks, 30)
    assert dropped == 90 + max(0, tasks - 30)
    assert not backlog


def test_messages_are_cut() -> None:
    journal = Journal("a")
    journal.log("x" * 20_000, logging.INFO, "tests", 10)

    assert len(journal.held[0].message) == journals.LONGEST
    assert journal.held[0].message.endswith("…")


@task(name="tests.unit.journal.spoken")
def spoken(task: Any, count: int) -> list[str]:
    """Say something while it runs in place."""
    task.log("begun")
    get_task_logger("tests.unit.journal").warning("by a logger")
    for number in task.track(range(count), message="adding"):
        task.log(number, publish=False, limit=3)
    assert current_task() is task
    return [*map(str, task.logs), str(task.progress), str(task.progress.percent)]


def test_a_task_that_runs_in_place_says_it_in_memory(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A worker that another test has run in this process has set the loggers of tasks up.
    caplog.set_level(logging.INFO, "celery.task")
    monkeypatch.setattr(logging.getLogger("celery.task"), "propagate", True)

    said = spoken(5)

    assert said == ["2", "3", "4", "5 of 5: adding", "100.0"]
    assert "begun" in caplog.messages


def test_the_handler_keeps_a_record_once(caplog: pytest.LogCaptureFixture) -> None:
    @task(name="tests.unit.journal.handled")
    def handled(task: Any) -> list[str]:
        handlers = [TaskLogHandler(), TaskLogHandler()]
        log = logging.getLogger("tests.unit.handled")
        log.handlers += handlers
        try:
            log.error("%d of %d", 1, 2)
            task.log("not twice")
        finally:
            log.handlers = []
        return [f"{line.level_name} {line.logger} {line}" for line in task.logs]

    first, second = handled()
    assert first == "ERROR tests.unit.handled 1 of 2"
    assert second == "INFO tests.unit.journal.handled not twice"


def test_the_handler_is_silent_outside_of_bodies() -> None:
    record = logging.LogRecord("tests", logging.ERROR, __file__, 1, "nobody's", (), None)
    TaskLogHandler().emit(record)  # and raises nothing


class Told(Progressing):
    """A task in memory."""

    id = "told"


def test_progress_is_read_as_it_is_said() -> None:
    told = Told()
    assert not told.progress
    assert (told.progress.done, told.progress.percent, str(told.progress)) == (None, None, "")

    told.progress(3)
    assert (told.progress.done, told.progress.total, str(told.progress)) == (3, None, "3")
    told.progress(0.5, 2, "pouring")
    assert (told.progress.percent, repr(told.progress)) == (25, "<Progress: 0.5 of 2: pouring>")
    assert isinstance(told.progress, Progress)


def test_items_without_a_length_are_counted() -> None:
    told = Told()
    items = told.track(n for n in range(3))

    assert not told.progress
    assert next(items) == 0
    assert (told.progress.done, told.progress.total) == (0, None)
    assert list(items) == [1, 2]
    assert told.progress.done == 3


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"current": 1, "total": 2}, (1, 2, "")),
        ({"done": 1.5, "message": "a"}, (1.5, None, "a")),
        ({"current": 1, "total": "2", "description": "a", "status": "b"}, (1, None, "a")),
        ({"percent": 50}, None),
        ({"current": True}, None),
        ({"current": "1"}, None),
        ("half", None),
        (None, None),
    ],
)
def test_what_celerys_states_tell(meta: Any, said: Any) -> None:
    assert from_meta(meta) == said


@shared_task(name="tests.unit.journal.plain")
def plain() -> tuple[bool, list[str]]:
    """Say something, in whatever way the function is run."""
    here: Any = current_task()
    here.log("begun")
    here.progress(1, 2)
    return current_task() is here, [*map(str, here.logs), str(here.progress)]


@pytest.mark.parametrize("run", [plain, lambda: plain.apply().get()], ids=["called", "eager"])
def test_a_shared_task_may_run_in_place(run: Any) -> None:
    assert run() == (True, ["begun", "1 of 2"])
    assert current_task() is None


def test_a_task_that_has_said_something_can_be_copied() -> None:
    found = handle("a", name="tests.add")
    found._journal.log("said", logging.INFO, "tests", 10)

    assert [str(line) for line in pickle.loads(pickle.dumps(found))._journal.held] == ["said"]
    assert deepcopy(found)._journal.task_id == "a"
