"""Celery's commands that publish, in processes where nobody has set Django up."""

from celery import Celery

from cq_compat.models import Task
from tests.acceptance.rows.conftest import ALIAS
from tests.servers.project import Project


def test_what_is_called_has_a_row(app: Celery, project: Project) -> None:
    task_id = project.celery(
        "call", "tests.project.tasks.add", "--args=[1, 2]", "--countdown=3600"
    ).stdout.strip()

    row = Task.objects.using(ALIAS).get(pk=task_id)
    assert row.message
    assert (row.owner_id, row.sent_at) == (None, None)  # no worker has made the row
    row.revoke()
