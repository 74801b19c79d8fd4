"""The project's own tests, as `manage.py test` runs them."""

from celery.contrib.testing.worker import start_worker
from django.test import TransactionTestCase

from cq_compat.models import Task
from cq_compat.outbox import outbox
from tests.project.celery import app
from tests.project.tasks import add


class PublishingTest(TransactionTestCase):
    """Nobody takes what is published."""

    def test_publish(self) -> None:
        result = add.delay(1, 2)
        assert outbox.flush(10)
        assert Task.objects.get(pk=result.id).sent_at is not None
        app.control.purge()


class WorkerTest(TransactionTestCase):
    """A worker in a thread of the tests' process."""

    def test_work(self) -> None:
        with start_worker(app, pool="solo", perform_ping_check=False):
            result = add.delay(1, 2)
            assert result.get(timeout=20) == 3
            assert Task.objects.get(pk=result.id).state == "SUCCESS"
