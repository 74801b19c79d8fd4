"""The examples of the README of django-cq 0.3, in its order, as they were written.

All but three: the first publishes `send_emails` where it means `send_email`, and that of the status
asks the function `parent` and not its task, for a state that may be over by then, so that neither
ran there; and in a migration the models are handed over in place of `RepeatingTask`, with a
dependency on the app that has the schedules.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from cq_compat.models import Task, TaskLog
from tests.acceptance.native.conftest import ALIAS
from tests.acceptance.native.stage import lines_of
from tests.project import readme
from tests.servers.project import Project
from tests.servers.schedules import APPS, LONG_AGO, forget_schedules, scheduled
from tests.servers.waiting import wait_until

TIMEOUT = 30
BEGUN = {Task.STATUS_PENDING, Task.STATUS_QUEUED, Task.STATUS_RUNNING, Task.STATUS_WAITING}


def test_tasks(app: Celery) -> None:
    task = readme.send_email.delay("dummy@dummy.org")
    task.wait()
    assert task.result == "OK"

    result = readme.send_email("dummy@dummy.org")
    assert result == "OK"


def test_subtasks(app: Celery) -> None:
    task = readme.send_emails.delay()
    task.wait()
    assert task.result == "OK"
    assert task.subtasks.filter(state=Task.STATUS_COMPLETE).count() == 2
    assert readme.send_emails() == "OK"


def test_status(app: Celery) -> None:
    task = readme.parent.delay()
    assert task.status in {*BEGUN, Task.STATUS_COMPLETE}
    task.wait()
    assert task.status == Task.STATUS_COMPLETE
    assert [one.name for one in task.subtasks] == [readme.task_b.name]
    assert Task.objects.filter(parent_id=task.id, name=readme.task_a.name, is_subtask=False)
    assert readme.parent() is None


def test_chained_tasks(app: Celery) -> None:
    task = readme.calculate_something.delay()
    task.wait()
    assert task.result == readme.calculate_something() == 34


def test_a_task_that_is_not_atomic(app: Celery) -> None:
    task = readme.unsafe_task.delay()
    task.wait()
    assert task.status == Task.STATUS_SUCCESS


Said = Callable[..., list[TaskLog]]


@pytest.fixture
def said(app: Celery, kills: Callable[[], int]) -> Said:
    """Return a task's lines once they are these: on SQLite they are written after its end."""

    def wait(task: Task, *texts: str) -> list[TaskLog]:
        def lines() -> list[TaskLog]:
            return lines_of(task, kills())

        task.wait()
        wait_until(lambda: list(map(str, lines())) == list(texts), TIMEOUT, lambda: f"{lines()}")
        return lines()

    return wait


def test_logging(said: Said, caplog: pytest.LogCaptureFixture) -> None:
    lines = said(readme.logs.delay(), "standard old log", "debugging log")
    assert [line.level for line in lines] == [logging.INFO, logging.DEBUG]
    with caplog.at_level(logging.DEBUG, readme.logs.name):
        readme.logs()
    here = [record.message for record in caplog.records if record.name == readme.logs.name]
    assert here == [str(line) for line in lines]


def test_logs_of_subtasks(said: Said) -> None:
    said(readme.has_subtask_that_logs.delay(), "above", "standard old log", "debugging log")


@pytest.mark.parametrize(("task", "count"), [("holds_logs_back", 101), ("keeps_ten_lines", 10)])
def test_performance(said: Said, task: str, count: int) -> None:
    lines = [*(f"iteration {number}" for number in range(100)), "done"]
    said(getattr(readme, task).delay(), *lines[-count:])


class TestRepeatingTasks:
    """A data migration of an app `myapp`, and the beat that does what it says."""

    MIGRATION = """
from django.db import migrations
from cq_compat import schedule_task

from tests.project.readme import a_task


def add_repeating(apps, scema_editor):
    schedule_task(
        apps,
        '* * * * *',
        a_task
    )


class Migration(migrations.Migration):
    dependencies = [('django_celery_beat', '0001_initial')]
    operations = [
        migrations.RunPython(add_repeating, reverse_code=migrations.RunPython.noop)
    ]
"""

    @pytest.fixture
    def shop(self, app: Celery, project: Project, tmp_path: Path) -> Project:
        migrations = tmp_path / "myapp" / "migrations"
        migrations.mkdir(parents=True)
        for folder in (migrations, migrations.parent):
            (folder / "__init__.py").touch()
        (migrations / "0001_initial.py").write_text(self.MIGRATION)
        settings = {**project.settings, "INSTALLED_APPS": [*APPS, "myapp"]}
        return Project(tmp_path, environment={"PYTHONPATH": str(tmp_path)}, **settings)

    def test_from_a_migration(self, shop: Project) -> None:
        shop.python("-m", "django", "migrate", "--verbosity=0")
        with scheduled(ALIAS):
            from django_celery_beat.models import PeriodicTask

            name = readme.a_task.name
            # The next full minute is long over.
            assert PeriodicTask.objects.filter(name=name).update(last_run_at=LONG_AGO) == 1
            with shop.process("beat", "-l", "INFO", "-S", "cq", ready="beat: Starting"):
                ticks = Task.objects.filter(periodic_task_name=name, state=Task.STATUS_SUCCESS)
                wait_until(ticks.exists, TIMEOUT, "the tick")
            forget_schedules()
