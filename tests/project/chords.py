"""Chords of tasks of `@task`, as subtasks."""

from typing import Any

from celery import chord

from cq_compat import task
from tests.project.native import calc_a
from tests.project.tasks import total


@task
def returns_chord(task: Any, count: int) -> Any:
    """Have the result of a chord."""
    return task.subtask(chord([calc_a.s(number) for number in range(count)], total.s()))


@task
def begins_chords(task: Any, count: int) -> list[str]:
    """Begin as many chords, and return the ids of their bodies."""
    header = [calc_a.s(1), calc_a.s(2)]
    return [task.subtask(chord(header, total.s())).id for _ in range(count)]
