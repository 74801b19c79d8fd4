"""Tasks that say what they do, as this process sees them."""

from typing import Any

from celery import Celery

from cq_compat.models import Task
from tests.servers.waiting import wait_until

#: Seconds for what takes less than one where the machine is not busy.
TIMEOUT = 30.0


class Stage:
    """A worker that has the tasks of `tests.project.telling`.

    Args:
        app: publishes to it.
        queue: where it consumes.
    """

    def __init__(self, app: Celery, *, queue: str = "celery", is_sqlite: bool = False) -> None:
        self.app, self.queue, self.is_sqlite = app, queue, is_sqlite

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

    def said(self, task_id: str) -> list[str]:
        """Return what a task has logged."""
        return [str(line) for line in self.row(task_id).logs]

    def wait_said(self, task_id: str, *lines: str) -> None:
        """Return once a task has logged so much, and no more."""
        wait_until(lambda: self.said(task_id) == list(lines), TIMEOUT, lambda: f"{lines[:3]}")
