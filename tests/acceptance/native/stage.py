"""Tasks that say what they do, as this process sees them."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from celery import Celery

from cq_compat.models import Task, TaskLog
from tests.servers.waiting import wait_until

#: Seconds for what takes less than one where the machine is not busy.
TIMEOUT = 30.0
#: Bodies that run at once in a worker of the tests.
PROCESSES = 2


class Stage:
    """A worker that has the tasks of `tests.project.telling`.

    Args:
        app: publishes to it.
        queue: where it consumes.
        kills: counts the workers that were killed.
    """

    def __init__(
        self,
        app: Celery,
        *,
        queue: str = "celery",
        is_sqlite: bool = False,
        kills: Callable[[], int] = lambda: 0,
    ) -> None:
        self.app, self.queue, self.is_sqlite, self.kills = app, queue, is_sqlite, kills

    def send(self, name: str, *args: Any) -> str:
        """Publish a task and return its id."""
        sent = self.app.send_task(f"tests.project.telling.{name}", args, queue=self.queue)
        return str(sent.id)

    def run(self, name: str, *args: Any) -> Task:
        """Return a task that has ended."""
        task_id = self.send(name, *args)
        self.app.AsyncResult(task_id).get(timeout=TIMEOUT, propagate=False)
        return self.row(task_id)

    def row(self, task_id: str) -> Task:
        """Return a task as it is now."""
        found: Task = Task.objects.get(pk=task_id)
        return found

    def lines(self, task_id: str) -> list[TaskLog]:
        """Return what a task, and those below, have logged."""
        return lines_of(self.row(task_id), self.kills())

    def said(self, task_id: str) -> list[str]:
        """Return the texts of that."""
        return [str(line) for line in self.lines(task_id)]

    def wait_said(self, task_id: str, *lines: str) -> None:
        """Return once a task has logged so much, and no more."""
        wait_until(lambda: self.said(task_id) == list(lines), TIMEOUT, lambda: f"{lines[:3]}")


def lines_of(task: Task, kills: int) -> list[TaskLog]:
    """Return the lines of a task and those below, task by task as they began: of each those of its
    last body. As many bodies as ran in killed workers may have said some of theirs before.
    """
    bodies: dict[str, list[list[TaskLog]]] = {}
    for line in task.logs:
        begun = bodies.setdefault(line.task_id, [])
        if not begun or line.number <= begun[-1][-1].number:
            begun.append([])
        begun[-1].append(line)
    assert sum(map(len, bodies.values())) - len(bodies) <= PROCESSES * kills, bodies
    last = sorted((begun[-1] for begun in bodies.values()), key=lambda body: body[0].created_at)
    return list(chain.from_iterable(last))
