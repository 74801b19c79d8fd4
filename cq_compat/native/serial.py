"""Tasks that run in place: a function of ``@task`` that is called, and all that its body begins.

Celery runs them as it does under ``task_always_eager``, within this thread and without a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from celery import states
from celery.canvas import Signature
from celery.result import EagerResult

from cq_compat.native.in_place import InPlaceTask
from cq_compat.native.signatures import signature_of
from cq_compat.native.statuses import Statuses, words_of


class SerialTask(InPlaceTask, Statuses):
    """A task without a row, whose body runs, or has run, where it was called.

    Args:
        parent: the task whose subtask it is.
    """

    def __init__(self, name: str, task_id: str = "", parent: SerialTask | None = None) -> None:
        super().__init__(name, task_id)
        self.parent = parent
        self.subtasks: list[SerialTask] = []
        self.state: str = states.STARTED
        self.traceback: str | None = None
        self._outcome: Any = None

    @property
    def status(self) -> str:
        """The state."""
        return self.state

    @property
    def result(self) -> Any:
        """What the body has returned; ``None`` of a task that has failed."""
        return self._outcome if self.state == states.SUCCESS else None

    @property
    def error(self) -> str | None:
        """What the task has failed with, in words."""
        return words_of(self._outcome) if self.state in self.STATUS_ERROR else None

    def wait(self, timeout: float | None = None, *, propagate: bool = True) -> Any:
        """Return the result: the task has ended.

        Args:
            propagate: raise the error of a task that has failed; otherwise it is returned.
        """
        if propagate and isinstance(self._outcome, Exception) and self.state in self.STATUS_ERROR:
            raise self._outcome
        return self._outcome

    async def aresult(self, timeout: float | None = None, *, propagate: bool = True) -> Any:
        """Return the result."""
        return self.wait(timeout, propagate=propagate)

    def subtask(
        self, target: Any, args: Any = (), kwargs: Any = None, **options: Any
    ) -> SerialTask:
        """Run a task now; this one fails with it."""
        child = run(signature_of(target, args, kwargs), parent=self)
        self.subtasks.append(child)
        return child

    def chain(
        self,
        target: Any,
        args: Any = (),
        kwargs: Any = None,
        *,
        force: bool = False,
        **options: Any,
    ) -> SerialTask:
        """Run a task now with this one's result before its arguments, unless this one has failed.

        Args:
            force: run it also then, with ``None``.
        """
        signature = signature_of(target, args, kwargs)
        if force or self.state == states.SUCCESS:
            if not signature.immutable:
                signature = signature.clone(args=(self.result,))
            return run(signature, parent=self.parent)
        return self._not_run(str(signature.task))

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the task has run."""

    def end(self, result: EagerResult) -> None:
        """Take the outcome that Celery has seen."""
        self.state, self._outcome, self.traceback = result.state, result.result, result.traceback

    def value_of(self, returned: Any, *, may_fail: bool) -> Any:
        """Return the value of a body that has returned something: of a task, its result.

        Args:
            may_fail: whether the task succeeds although some of its subtasks have failed.
        """
        for child in () if may_fail else self.subtasks:
            child.wait()
        return returned.wait() if isinstance(returned, SerialTask) else returned

    def _not_run(self, name: str) -> SerialTask:
        skipped = SerialTask(name, parent=self.parent)
        skipped.state, skipped._outcome, skipped.traceback = self.state, self._outcome, None
        return skipped


def run(signature: Signature, parent: SerialTask | None = None) -> SerialTask:
    """Run a signature now, a task's or a canvas's, and return what became of it."""
    return run_here(str(signature.task), signature.apply, parent)


def run_here(
    name: str, apply: Callable[..., EagerResult], parent: SerialTask | None = None
) -> SerialTask:
    """Run a task now, and return what became of it.

    Args:
        apply: runs it with the id ``task_id``, as Celery does without a worker.
    """
    task = SerialTask(name, parent=parent)
    _expected[task.id] = task
    task.end(_ended(apply(task_id=task.id)))
    return task


def expected(name: str, task_id: str | None) -> SerialTask:
    """Return the task that ``run`` has made for a body that begins, else a new one."""
    found = _expected.get(task_id) if task_id else None
    return found or SerialTask(name, task_id or "")


def _ended(result: Any) -> EagerResult:
    if isinstance(result, EagerResult):
        return result
    try:  # of a group
        return EagerResult(result.id, result.get(), states.SUCCESS)
    except Exception as exc:
        return EagerResult(result.id, exc, states.FAILURE)


#: Tasks whose bodies are about to run, by id.
_expected: WeakValueDictionary[str, SerialTask] = WeakValueDictionary()
