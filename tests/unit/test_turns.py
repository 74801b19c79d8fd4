"""Calls that come while others are being run are run together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import InterfaceError

from cq_compat.database import turns
from cq_compat.database.turns import Call, Turns
from tests.servers.waiting import wait_until

PATIENCE = 10.0


class Connection:
    """Runs calls when `gate` is open; a call's answer is the number of its batch."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[list[str]] = []
        self.error: BaseException | None = None
        self.lock = threading.RLock()
        self.turns = Turns(self.run, self.lock)

    def run(self, calls: list[Call]) -> None:
        self.batches.append([call.row for call in calls])
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        for call in calls:
            if call.row == "bad":
                call.fail(ValueError("bad"))
            else:
                call.succeed(len(self.batches))

    def take(self, row: str) -> Any:
        return self.turns.take(Call(row, "", (), str, once=False))


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection()
    yield connection
    connection.gate.set()


@pytest.fixture
def pool(connection: Connection) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=200) as pool:
        yield pool
        connection.gate.set()


def gather(connection: Connection, pool: ThreadPoolExecutor, *rows: str) -> list[Future[Any]]:
    """Let calls come, one after the other, while the first one is being run."""
    futures = [pool.submit(connection.take, rows[0])]
    wait_until(lambda: connection.batches)
    for count, row in enumerate(rows[1:], 1):
        futures.append(pool.submit(connection.take, row))
        wait_until(lambda count=count: len(connection.turns._gathered) == count)  # type: ignore[misc]
    return futures


def results(futures: list[Future[Any]]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]


def test_a_call_alone_is_run_at_once(connection: Connection) -> None:
    connection.gate.set()

    assert [connection.take("a"), connection.take("b")] == [1, 2]


def test_calls_that_wait_are_run_together(connection: Connection, pool: ThreadPoolExecutor) -> None:
    futures = gather(connection, pool, "a", "b", "c", "d")
    connection.gate.set()

    assert results(futures) == [1, 2, 2, 2]
    assert connection.batches == [["a"], ["b", "c", "d"]]
    assert connection.take("e") == 3  # and nobody has kept the turn


def test_calls_wait_for_another_use_of_the_connection(
    connection: Connection, pool: ThreadPoolExecutor
) -> None:
    connection.gate.set()
    with connection.lock:
        futures = [pool.submit(connection.take, row) for row in "abc"]
        wait_until(lambda: len(connection.turns._gathered) == 3)

    assert results(futures) == [1, 1, 1]


def test_an_error_is_its_own_calls(connection: Connection, pool: ThreadPoolExecutor) -> None:
    futures = gather(connection, pool, "a", "bad", "c")
    connection.gate.set()

    assert [results(futures[:1]), results(futures[2:])] == [[1], [2]]
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(PATIENCE)


def test_more_than_can_be_run_together_is_run_by_the_next(
    connection: Connection, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST", 2)
    futures = gather(connection, pool, "a", "b", "c", "d", "e", "f")
    connection.gate.set()

    assert results(futures) == [1, 2, 2, 3, 3, 4]


def test_who_is_interrupted_while_it_runs_them_keeps_nobody_waiting(
    connection: Connection, pool: ThreadPoolExecutor
) -> None:
    connection.gate.set()
    connection.error = KeyboardInterrupt()
    with connection.lock:
        futures = [pool.submit(connection.take, row) for row in "abc"]
        wait_until(lambda: len(connection.turns._gathered) == 3)

    errors = [type(future.exception(PATIENCE)) for future in futures]
    assert sorted(errors, key=str) == sorted(
        [InterfaceError, InterfaceError, KeyboardInterrupt], key=str
    )
    assert connection.take("d") == 2


@pytest.mark.parametrize("interrupted", [1, 2])
def test_who_is_interrupted_while_it_waits_is_not_waited_for(
    connection: Connection,
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    interrupted: int,
) -> None:
    waits, wait = [], Call.wait

    def interrupt(call: Call) -> None:
        waits.append(call.row)
        wait(call)
        if len(waits) >= interrupted and call.row == waits[interrupted - 1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Call, "wait", interrupt)
    futures = gather(connection, pool, "a", "b", "c")
    connection.gate.set()

    found = [future.exception(PATIENCE) for future in futures]
    assert [isinstance(error, KeyboardInterrupt) for error in found] == [
        False,
        interrupted == 1,
        interrupted == 2,
    ]
    assert connection.take("d") == len(connection.batches)
