"""Chords as subtasks whose parts end in the transactions of their bodies."""

from celery import Celery

from cq_compat.models import Task
from tests.project import chords

TIMEOUT = 30


def test_the_result_of_a_chord(app: Celery) -> None:
    tasks = [chords.returns_chord.delay(3) for _ in range(5)]

    assert [task.wait(TIMEOUT) for task in tasks] == [30] * 5


def test_the_bodies_of_chords_are_waited_for(app: Celery) -> None:
    tasks = [chords.begins_chords.delay(count) for count in (1, 1, 2, 3)]

    for task in tasks:
        ids = task.wait(TIMEOUT)
        bodies = Task.objects.in_bulk(ids)
        assert [bodies[one].result for one in ids] == [30] * len(ids)
        end = Task.objects.get(pk=task.id).finished_at
        assert all(body.finished_at <= end for body in bodies.values())
