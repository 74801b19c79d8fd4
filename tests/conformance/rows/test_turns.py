"""What several threads write about their tasks is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connections

from cq_compat import states
from cq_compat.database import LOST, OwnConnection
from cq_compat.database.turns import Call
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, Outcome, PublishingMirror, WorkingMirror
from tests.conformance.rows.messages import claimed, row
from tests.servers.databases import cut
from tests.servers.waiting import wait_until

PATIENCE = 20.0
SUCCESS = Outcome(states.SUCCESS, "3", "application/json")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=20) as pool:
        yield pool


@pytest.fixture
def claims(publishing: PublishingMirror, working: WorkingMirror, lease: Lease) -> list[Claim]:
    return [claimed(publishing, working, lease) for _ in range(8)]


@pytest.fixture
def commits(connection: OwnConnection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has committed several statements as one."""
    found: list[str] = []
    real = {name: getattr(connection, name) for name in ("_run_pipeline", "_end")}

    def noted(name: str, *arguments: Any) -> Any:
        found.append(name)
        return real[name](*arguments)

    for name in real:
        monkeypatch.setattr(connection, name, partial(noted, name))
    return found


def together(
    connection: OwnConnection, pool: ThreadPoolExecutor, calls: list[Callable[[], Any]]
) -> list[Future[Any]]:
    """Let threads make calls while the connection is in use, and return when it is free."""
    with connection._lock:
        futures = [pool.submit(call) for call in calls]
        wait_until(lambda: len(connection._turns._gathered) == len(calls))
    return futures


def results(futures: list[Future[Any]]) -> list[Any]:
    return [future.result(PATIENCE) for future in futures]


def test_threads_start_and_end_their_tasks_together(
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
    commits: list[str],
) -> None:
    starts = [partial(working.start, claim, acks_late=True) for claim in claims]
    assert results(together(connection, pool, starts)) == [True] * 8
    assert len(commits) == 1

    ends = [partial(working.finish, claim, SUCCESS) for claim in claims]
    assert results(together(connection, pool, ends)) == [True] * 8
    assert len(commits) == 2

    found = [row(claim.task_id) for claim in claims]
    assert {(each.state, each.encoded_result, each.acks_late) for each in found} == {
        ("SUCCESS", "3", True)
    }


def test_statements_of_every_kind_are_run_together(
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
) -> None:
    first, second, third, *_ = claims
    assert working.start(third, acks_late=False)
    calls = [
        partial(working.start, first, acks_late=False),
        partial(working.progress, second, Outcome("LOADING", "1")),
        partial(working.end, third, SUCCESS),
        partial(working.start, third, acks_late=False),
    ]

    started, loaded, end, again = results(together(connection, pool, calls))

    assert (started, loaded, end.task_id, end.state) == (True, True, third.task_id, "SUCCESS")
    assert again in (True, False)  # whichever was first of the two on one row
    assert [row(claim.task_id).state for claim in (first, second)] == ["STARTED", "LOADING"]


def test_a_claim_that_does_not_hold_is_refused_alone(
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
) -> None:
    assert working.start(claims[3], acks_late=False)
    starts = [partial(working.start, claim, acks_late=False) for claim in claims]

    assert results(together(connection, pool, starts)) == [number != 3 for number in range(8)]


def test_a_statement_that_fails_fails_alone(
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
) -> None:
    bad = partial(connection.execute, "UPDATE cq_task SET missing = 1", [], once=True, row="a")
    for _ in range(8):  # before and after the statements are prepared
        calls = [bad, *[partial(working.progress, each, Outcome("LOADING")) for each in claims]]
        failed, *others = together(connection, pool, calls)

        assert results(others) == [True] * 8
        with pytest.raises(DatabaseError):
            failed.result(PATIENCE)


def test_what_was_run_unheard_is_its_callers_to_deal_with(
    database: str,
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_together = connection._run_together

    def unheard(calls: Any) -> None:
        monkeypatch.undo()
        run_together([Call(call.row, call.statement, call.params, str, False) for call in calls])
        if connections[database].vendor != "sqlite":  # which has no connection to cut
            cut(connection._ready())
        raise OperationalError("cut")

    monkeypatch.setattr(connection, "_run_together", unheard)
    starts = [partial(working.start, claim, acks_late=False) for claim in claims[:4]]
    loading = [partial(working.progress, claim, Outcome("LOADING")) for claim in claims[4:]]

    futures = together(connection, pool, [*starts, *loading])

    for future in futures[:4]:
        with pytest.raises(LOST):
            future.result(PATIENCE)
    assert results(futures[4:]) == [True] * 4
    again = [partial(call, again=True) for call in starts]
    assert results(together(connection, pool, again)) == [True] * 4


def test_a_transaction_of_one_thread_is_its_own(
    connection: OwnConnection,
    working: WorkingMirror,
    claims: list[Claim],
    pool: ThreadPoolExecutor,
) -> None:
    first, *rest = claims
    futures: list[Future[Any]] = []

    def write() -> None:
        with connection.transaction():
            starts = [partial(working.start, each, acks_late=False) for each in rest]
            futures.extend(map(pool.submit, starts))
            wait_until(lambda: len(connection._turns._gathered) == 7)
            assert working.start(first, acks_late=False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()

    assert results(futures) == [True] * 7
    assert row(first.task_id).state == states.RECEIVED
