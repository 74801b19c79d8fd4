"""Celery's example Django project does with one broker what it does with another."""

import os
from collections.abc import Iterator

import django
import pytest

from tests.compat.example import Example, ExampleWorker

IMPORTS = """
from celery import chain, group
from demoapp.models import Widget
from demoapp.tasks import add, count_widgets, error_backoff_test, mul, rename_widget, xsum
from django.db import transaction
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    example = Example(tmp_path_factory.mktemp("example"))
    example.manage("migrate", "--verbosity=0")
    return example


@pytest.fixture(scope="module")
def worker(example: Example) -> Iterator[ExampleWorker]:
    with example.worker() as worker:
        yield worker


def test_check(example: Example) -> None:
    expected = ["models.W042"]  # the project's own: no DEFAULT_AUTO_FIELD
    if os.environ["TEST_BROKER"].startswith("channels") and django.VERSION >= (5, 1):
        expected = ["cq.W012", *expected]  # SQLite as Django sets it up
    assert example.check() == expected


def test_results(example: Example, worker: ExampleWorker) -> None:
    answer = example.shell(
        IMPORTS
        + """
results = [add.delay(2, 3), mul.delay(4, 5), xsum.delay([1, 2, 3]), count_widgets.delay()]
answer = [result.get(timeout=30) for result in results]
"""
    )
    assert answer == [5, 20, 6, 0]


def test_canvas(example: Example, worker: ExampleWorker) -> None:
    answer = example.shell(
        IMPORTS
        + """
chord = group(add.s(n, n) for n in range(10)) | xsum.s()
answer = [chain(add.s(2, 3), mul.s(4)).delay().get(timeout=30), chord.delay().get(timeout=60)]
"""
    )
    assert answer == [20, 90]


def test_task_that_waits_for_the_commit(example: Example, worker: ExampleWorker) -> None:
    answer = example.shell(
        IMPORTS
        + """
import time
with transaction.atomic():
    widget = Widget.objects.create(name="old")
    rename_widget.delay_on_commit(widget.id, "new")
deadline = time.monotonic() + 30
while not Widget.objects.filter(name="new") and time.monotonic() < deadline:
    time.sleep(0.05)
names = list(Widget.objects.values_list("name", flat=True))
answer = [names, count_widgets.delay().get(timeout=30)]
Widget.objects.all().delete()
"""
    )
    assert answer == [["new"], 1]


def test_error_is_retried(example: Example, worker: ExampleWorker) -> None:
    answer = example.shell(
        IMPORTS
        + """
import time
result = error_backoff_test.delay()
deadline = time.monotonic() + 30
while result.state != "RETRY" and time.monotonic() < deadline:
    time.sleep(0.05)
answer = result.state
"""
    )
    assert answer == "RETRY"
    worker.wait_log(r"Retry in 5s")


def test_expired_task_is_revoked(example: Example, worker: ExampleWorker) -> None:
    answer = example.shell(
        IMPORTS
        + """
from datetime import timedelta
from django.utils import timezone
result = add.apply_async((2, 3), expires=timezone.now() - timedelta(seconds=1))
result.get(timeout=30, propagate=False)
answer = result.state
"""
    )
    assert answer == "REVOKED"


def test_debug_task(example: Example, worker: ExampleWorker) -> None:
    example.celery("call", "proj.celery.debug_task")
    worker.wait_log(r"Request: <Context: .*proj\.celery\.debug_task")


def test_remote_control(example: Example, worker: ExampleWorker) -> None:
    assert "1 node online" in example.celery("status")
    assert "demoapp.tasks.add" in example.celery("inspect", "registered")


def test_worker_ends(example: Example) -> None:
    with example.worker() as worker:
        assert worker.terminate() == 0
