"""`manage.py check` names the scheduler that would run ticks twice, and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from django.core.checks import run_checks

from cq_compat.checks import check_beat

OWN = "cq_compat.beat:Scheduler"
BEFORE = "django_celery_beat.schedulers:DatabaseScheduler"


@pytest.fixture
def app() -> Iterator[Celery]:
    """A Celery app that is the current one, as a project's is."""
    before = current_app._get_current_object()
    with Celery("checked", broker="channels://", set_as_current=False) as app:
        app.set_default()
        app.set_current()
        yield app
    before.set_default()
    before.set_current()


@pytest.fixture(params=[True, False], ids=["with tables", "without"])
def has_tables(request: pytest.FixtureRequest, settings: Any) -> bool:
    """Whether the project has the app django-celery-beat."""
    if request.param:
        settings.INSTALLED_APPS = ["cq_compat", "django_celery_beat"]
    return bool(request.param)


@pytest.mark.parametrize(
    ("scheduler", "with_tables", "without"),
    [
        (OWN, [], ["cq.E009"]),
        ("cq_compat.beat.Scheduler", [], ["cq.E009"]),
        ("cq", ["cq.E008"], ["cq.E008"]),
        (BEFORE, ["cq.W010"], []),
        ("django", ["cq.W010"], []),
        ("shop.no_such.Scheduler", ["cq.W010"], []),
        ("celery.beat:PersistentScheduler", ["cq.W010"], []),
    ],
)
def test_schedulers(
    app: Celery, has_tables: bool, scheduler: str, with_tables: list[str], without: list[str]
) -> None:
    app.conf.beat_scheduler = scheduler
    found = check_beat(None)
    assert [message.id for message in found] == (with_tables if has_tables else without)
    assert all(message.hint for message in found)
    assert {message.id for message in found} <= {message.id for message in run_checks(tags=["cq"])}


def test_a_projects_own_scheduler(app: Celery, settings: Any) -> None:
    settings.INSTALLED_APPS = ["cq_compat", "django_celery_beat"]
    from cq_compat.beat import Scheduler

    app.conf.beat_scheduler = type("OurScheduler", (Scheduler,), {})
    assert check_beat(None) == []


def test_the_admin_resolves_the_path_and_not_the_name(settings: Any) -> None:
    settings.INSTALLED_APPS = ["cq_compat", "django_celery_beat"]
    from django_celery_beat.utils import is_database_scheduler

    assert is_database_scheduler(OWN)
    with pytest.raises(ImportError):
        is_database_scheduler("cq")
