"""A task and its family: subtasks, for which it waits, and chained tasks, which wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from cq_compat import links
from cq_compat.links import Link
from cq_compat.native.linking import check_kept, check_open, publish, root_of
from cq_compat.native.signatures import signature_of
from cq_compat.native.tree import Tree, tree_of

if TYPE_CHECKING:
    from cq_compat.models import Task
    from cq_compat.querysets import TaskQuerySet


class Family(models.Model):
    """The relatives of ``Task``."""

    id: Any
    is_subtask: Any
    parent_id: Any
    previous_id: Any
    root_id: Any
    result_from: Any

    class Meta:
        abstract = True

    def subtask(self, target: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """Begin a task without whose end this one is not complete, and return it; of a group,
        return its tasks.

        Args:
            target: a function of ``@task`` or ``@shared_task``, or any Celery signature.
            args: a tuple of arguments, or a single one that is no tuple.
            options: as for ``apply_async``.

        Raises:
            NotRunningHere: neither this task's body runs here nor that of a subtask of it.
        """
        check_open(self)
        link = Link(subtask_of=self.pk)
        return publish(signature_of(target, args, kwargs), link, root_of(self), options)

    def chain(
        self,
        target: Any,
        args: Any = (),
        kwargs: Any = None,
        *,
        force: bool = False,
        **options: Any,
    ) -> Any:
        """Let a task run when this one has succeeded, with its result before the other arguments;
        return that task.

        Args:
            target: as for ``subtask``. An immutable signature gets no result.
            force: let it run after a failure, too, with ``None``.
        """
        return self._next(
            links.END if force else links.SUCCESS, signature_of(target, args, kwargs), options
        )

    def errback(self, target: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """Let a task run if this one does not succeed, with the error in words before the other
        arguments; return that task, which is deleted if it is not needed.
        """
        return self._next(links.FAILURE, signature_of(target, args, kwargs), options)

    errorback = errback

    def _next(self, after: str, signature: Any, options: dict[str, Any]) -> Any:
        check_kept(signature.app)
        known = _known(self)
        is_awaited = known["is_subtask"] and after != links.FAILURE
        link = Link(
            subtask_of=known["parent_id"] if is_awaited else None,
            previous_id=self.pk,
            runs_after=after,
        )
        return publish(signature, link, known["root_id"] or self.pk, options)

    @property
    def subtasks(self) -> TaskQuerySet:
        """The tasks without which this one is not complete."""
        return self._those(parent_id=self.pk, is_subtask=True)

    @property
    def next(self) -> TaskQuerySet:
        """The tasks that are chained to this one."""
        return self._those(previous_id=self.pk)

    @property
    def parent(self) -> Task | None:
        """The task whose body has published this one."""
        return self._one(self.parent_id)

    @property
    def previous(self) -> Task | None:
        """The task that this one is chained to."""
        return self._one(self.previous_id)

    @property
    def root(self) -> Task | None:
        """The first of its ancestors, or itself."""
        return self._one(self.root_id or self.pk)

    def tree(self, limit: int = 1000) -> Tree:
        """Return the task and everything below it, with states; ``print`` shows it.

        Args:
            limit: how many tasks are read.
        """
        return tree_of(self, limit)

    def _all(self) -> TaskQuerySet:
        from cq_compat.models import Task

        found: TaskQuerySet = Task.objects.all()
        return found

    def _those(self, **conditions: Any) -> TaskQuerySet:
        found: TaskQuerySet = self._all().filter(**conditions)
        return found

    def _one(self, task_id: str | None) -> Task | None:
        found: Task | None = self._all().filter(pk=task_id).first() if task_id else None
        return found


def _known(task: Any) -> dict[str, Any]:
    """Return what a chained task has from the previous one, by one query at most."""
    names = ("is_subtask", "parent_id", "root_id")
    loaded: dict[str, Any] = task.__dict__
    if not set(names) <= loaded.keys():
        found = task._all().filter(pk=task.pk).values(*names).first()
        return found or {"is_subtask": False, "parent_id": None, "root_id": None}
    return loaded
