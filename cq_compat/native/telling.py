"""What tasks with rows say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cq_compat.conf import conf
from cq_compat.native.journal import Journal, Step
from cq_compat.native.logs import Logging
from cq_compat.native.progress import Progressing, from_meta
from cq_compat.native.running import begun_task_of, current_task

if TYPE_CHECKING:
    from cq_compat.querysets import TaskLogQuerySet


class Telling(Logging, Progressing):
    """A task whose lines and progress are rows, written beside the transaction of its body."""

    pk: Any

    @property
    def logs(self) -> TaskLogQuerySet:
        """The lines that are kept, in their order; of a top task those of all tasks below, too."""
        from cq_compat.models import TaskLog

        found: TaskLogQuerySet = TaskLog.objects.of(self)
        return found

    def read_step(self) -> Step | None:
        """Return what was said last, here or in the task's row."""
        from cq_compat.models import Task

        if (said := super().read_step()) is not None:
            return said
        columns = ("progress_done", "progress_total", "progress_message")
        found = Task.objects.filter(pk=self.pk).values_list(*columns).first()
        return None if found is None else Step(self.pk, found[0], found[1], found[2] or "")

    def _new_journal(self) -> Journal:
        from cq_compat.native.journal_writer import journal_of

        return journal_of(str(self.pk))

    def _publish(self, step: Step | None = None) -> None:
        from cq_compat.native.journal_writer import journal_writer

        if conf().DURABLE or conf().MIRROR:
            journal_writer.release(self._journal)
            if step is not None:
                journal_writer.put(step)


def settle(request: Any) -> None:
    """Wait until all is written that a body has said, unless the database is away; called before
    the body's end is.
    """
    from cq_compat.native.journal_writer import journal_writer

    task = begun_task_of(request)
    if isinstance(task, Telling) and task.has_journal:
        journal_writer.settle(task._journal)


def tell_state(task_id: str, meta: Any) -> None:
    """Let what a body gives to Celery's ``update_state`` be its progress, if it is one."""
    task = current_task()
    said = from_meta(meta)
    if said is not None and isinstance(task, Telling) and task.pk == task_id:
        task.say_progress(*said)
