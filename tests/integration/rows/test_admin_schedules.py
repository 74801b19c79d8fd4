"""Schedules in the admin: django-celery-beat's own pages, and the way between them and tasks."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from django.contrib.admin import AdminSite
from django.test import Client

from cq_compat import task
from cq_compat.models import Task
from tests.integration.rows.test_admin import LIST, make, page
from tests.servers.schedules import form

pytestmark = pytest.mark.usefixtures("empty")

SCHEDULES = "/admin/django_celery_beat/periodictask/"
NAME = "each night & day"


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    """A project's app with a task of each kind."""
    before = current_app._get_current_object()
    with Celery("scheduled", set_as_current=False) as app:
        app.set_current()

        @app.task(name="shop.tasks.celerys")  # type: ignore[untyped-decorator]
        def celerys() -> None:
            """Do nothing."""

        @task(name="shop.tasks.own")
        def own(task: Task) -> None:
            """Do nothing."""

        app.finalize()
        yield app
    before.set_current()


@pytest.fixture
def schedule(database: str) -> Iterator[Any]:
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    often = IntervalSchedule.objects.create(every=1, period="days")
    yield PeriodicTask.objects.create(name=NAME, task="shop.tasks.own", interval=often)
    PeriodicTask.objects.all().delete()
    often.delete()


@pytest.mark.parametrize("name", ["shop.tasks.celerys", "shop.tasks.own"])
def test_a_registered_task_is_chosen(
    operator: Client,
    app: Celery,
    schedule: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django_celery_beat.admin import PeriodicTaskForm

    # The first page of a process settles what there is to choose; here it may be another test's.
    monkeypatch.setattr(PeriodicTaskForm.base_fields["regtask"].widget, "_choices", None)
    url = f"{SCHEDULES}{schedule.pk}/change/"
    shown = operator.get(url)
    assert f'<option value="{name}">' in shown.content.decode()
    assert operator.post(url, form(shown, regtask=name)).status_code == 302
    schedule.refresh_from_db()
    assert schedule.task == name


def test_a_tick_leads_to_its_schedule(operator: Client, schedule: Any) -> None:
    text = operator.get(page(make(periodic_task_name=NAME))).content.decode()
    assert f'href="{SCHEDULES}{schedule.pk}/change/"' in text
    assert f'href="{LIST}?periodic_task_name=each+night+%26+day"' in text


def test_a_schedule_that_is_gone(operator: Client) -> None:
    text = operator.get(page(make(periodic_task_name=NAME))).content.decode()
    assert not re.search(rf"{SCHEDULES}\d", text)
    assert "each night &amp; day" in text


def test_the_ticks_of_a_schedule(operator: Client, schedule: Any) -> None:
    made = make(periodic_task_name=NAME)
    make()
    listed = operator.get(LIST, {"periodic_task_name": NAME})
    assert [found.pk for found in listed.context["cl"].result_list] == [made.pk]
    assert "?periodic_task_name=each+night+%26+day" in operator.get(LIST).content.decode()


def test_a_site_without_schedules(database: str, schedule: Any) -> None:
    from cq_compat.admin.schedules import schedule_links

    assert SCHEDULES not in schedule_links(NAME, AdminSite())
