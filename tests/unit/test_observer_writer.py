"""The observer's thread: it takes all at once, and nobody suffers from a database that does not."""

import logging
import threading
from collections.abc import Sequence

import pytest
from django.db import DataError, OperationalError, ProgrammingError

from cq_compat import batching, states
from cq_compat.database import OwnConnection
from cq_compat.mirror import Outcome
from cq_compat.observing import Writer, observer, writer
from cq_compat.sightings import Sighting
from tests.servers.waiting import wait_until

TIMEOUT = 10.0


class Rows:
    """Keeps what is written; `error` is raised for ids that `bad` names, or for all."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.calls = 0
        self.error: Exception | None = None
        self.bad: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def observe(self, seen: Sequence[Sighting]) -> None:
        self.calls += 1
        assert self.gate.wait(TIMEOUT)
        if self.error and (not self.bad or self.bad & {one.id for one in seen}):
            raise self.error
        self.ids += [one.id for one in seen]


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def written(rows: Rows) -> Writer:
    observer.close()  # which logs here, too, if this process has lost a database
    return Writer(OwnConnection(), rows)


def put(to: Writer, *ids: str) -> None:
    for task_id in ids:
        to.put(Sighting(task_id, Outcome(states.STARTED), 1.0))


def test_all_is_written_in_the_order_of_the_ids(written: Writer, rows: Rows) -> None:
    rows.gate.clear()
    put(written, "first")
    wait_until(lambda: rows.calls == 1, TIMEOUT)
    put(written, "c", "a", "b", "a")
    rows.gate.set()

    assert written.flush(TIMEOUT)
    assert rows.ids == ["first", "a", "b", "c"]


@pytest.mark.parametrize("error", [OperationalError("away"), ProgrammingError("no table")])
def test_what_is_seen_waits_for_the_database(
    written: Writer,
    rows: Rows,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(batching, "FIRST_PAUSE", 0.01)
    caplog.set_level(logging.INFO, batching.__name__)
    rows.error = error
    put(written, "a")
    wait_until(lambda: rows.calls > 4, TIMEOUT)
    put(written, "b")

    assert not written.flush(TIMEOUT)  # at once: nobody waits for a database that is away
    rows.error = None

    wait_until(lambda: rows.ids == ["a", "b"], TIMEOUT)
    wait_until(lambda: len(caplog.records) == 2, TIMEOUT)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_what_does_not_fit_is_counted(
    written: Writer,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(writer, "LIMIT", 3)
    rows.gate.clear()
    put(written, *"abcdefg")

    assert written.dropped == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    rows.gate.set()
    assert written.flush(TIMEOUT)
    assert rows.ids == ["a", "b", "c"]
    put(written, "h")
    assert written.flush(TIMEOUT)
    assert rows.ids[-1] == "h"


@pytest.mark.parametrize("error", [DataError("too long"), TypeError("a fault")])
def test_one_that_cannot_be_written_does_not_hold_up_the_others(
    written: Writer, rows: Rows, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    rows.error, rows.bad = error, {"b", "d"}
    put(written, *"abcde")

    assert written.flush(TIMEOUT)
    assert sorted(rows.ids) == ["a", "c", "e"]
    assert written.dropped == 2
    assert len(caplog.records) == 1


def test_a_child_begins_empty(written: Writer, rows: Rows) -> None:
    rows.gate.clear()
    put(written, "a")
    wait_until(lambda: rows.calls == 1, TIMEOUT)

    written.reset_after_fork()  # as in a child; here the parent's thread goes on beside it
    put(written, "b")
    wait_until(lambda: rows.calls == 2, TIMEOUT)
    rows.gate.set()

    wait_until(lambda: "b" in rows.ids, TIMEOUT)


class Duty:
    """Counts how often it is done."""

    interval = 0.01

    def __init__(self) -> None:
        self.times = 0

    def run_once(self) -> bool:
        self.times += 1
        return False


def test_a_duty_is_done_beside_the_writing(written: Writer, rows: Rows) -> None:
    duty = Duty()
    written.look_after(duty)

    wait_until(lambda: duty.times > 3, TIMEOUT)
    put(written, "a")
    assert written.flush(TIMEOUT)
    assert rows.ids == ["a"]
    written.look_after(None)


def test_it_begins_anew_after_its_end(written: Writer, rows: Rows) -> None:
    put(written, "a")
    assert written.flush(TIMEOUT)
    written.close()
    put(written, "b")

    assert written.flush(TIMEOUT)
    assert rows.ids == ["a", "b"]
