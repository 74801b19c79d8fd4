"""The options of `@task` are Celery's, or become these."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, current_app
from celery import Task as CeleryTask

from cq_compat import task
from cq_compat.retention import Rule, rules

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    before = current_app._get_current_object()
    with Celery("options", set_as_current=False) as app:
        app.set_current()
        yield app
    before.set_current()


def body(task: Any, number: int = 0) -> None: ...


@task
def bare(task: Any) -> None: ...


@task()
def called(task: Any) -> None: ...


def test_names() -> None:
    assert (bare.name, called.name) == (f"{__name__}.bare", f"{__name__}.called")
    assert task("by position")(body).name == "by position"
    assert task(name="by keyword")(body).name == "by keyword"


def test_it_is_a_celery_task(app: Celery) -> None:
    made = task(name="real", soft_time_limit=7, acks_late=True)(body)

    assert isinstance(made, CeleryTask) and app.tasks["real"] == made
    assert (made.soft_time_limit, made.acks_late) == (7, True)
    assert made.__doc__ == body.__doc__
    assert made.s(1).args == (1,)


@pytest.mark.parametrize(("ttl", "seconds"), [(5, 5), (timedelta(minutes=1), 60), (None, None)])
def test_time_to_live(ttl: Any, seconds: float | None) -> None:
    assert task(name=f"ttl {ttl}", ttl=ttl)(body).expires == seconds


def test_time_to_live_of_results(app: Celery) -> None:
    task(name="short", result_ttl=60)(body)
    task(name="long", result_ttl=timedelta(days=1))(body)
    task(name="kept", result_ttl=None)(body)
    task(name="as others", retries=1)(body)

    found = {rule.name: rule for rule in rules(app, 5.0)}
    assert [found.get(name) for name in ("short", "long", "kept", "as others", "")] == [
        Rule(60.0, "", "short"),
        Rule(86_400.0, "", "long"),
        Rule(None, "", "kept"),
        None,
        Rule(5.0),
    ]


@pytest.mark.parametrize(
    ("options", "errors", "most", "backoff"),
    [
        ({}, (), 3, False),
        ({"retries": 0}, (Exception,), 0, True),
        ({"retries": 5}, (Exception,), 5, True),
        ({"retry_on": KeyError}, (KeyError,), 3, True),
        ({"retry_on": [KeyError, OSError], "retries": None}, (KeyError, OSError), 3, True),
        ({"retries": 2, "retry_backoff": 9}, (Exception,), 2, 9),
    ],
    ids=str,
)
def test_retries(options: dict[str, Any], errors: Any, most: int, backoff: Any) -> None:
    made = task(name=f"retries {options}", **options)(body)

    assert (getattr(made, "autoretry_for", ()), made.max_retries) == (errors, most)
    assert getattr(made, "retry_backoff", False) == backoff


def test_atomic_unless_it_says_otherwise() -> None:
    assert task(name="atomic")(body).atomic is True
    assert task(name="free", atomic=False)(body).atomic is False
