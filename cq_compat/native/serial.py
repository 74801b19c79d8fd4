"""Tasks that run in place: a function of ``@task`` that is called, and all that its body begins.

Celery runs them as it does under ``task_always_eager``, within this thread and without a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from celery import states
from celery.canvas import Signature, group
from celery.exceptions import Ignore, Reject, Retry
from celery.result import EagerResult

from cq_compat import links
from cq_compat.native.in_place import InPlaceTask
from cq_compat.native.signatures import signature_of
from cq_compat.native.statuses import Statuses, words_of
from cq_compat.native.tree import Tree


class SerialTask(InPlaceTask, Statuses):
    """A task without a row, whose body runs, or has run, where it was called.

    Args:
        parent: the task whose subtask it is.
        previous: the task that it is chained to.
    """

    def __init__(
        self,
        name: str,
        task_id: str = "",
        parent: SerialTask | None = None,
        previous: SerialTask | None = None,
    ) -> None:
        super().__init__(name, task_id)
        self.parent, self.previous = parent, previous
        self.subtasks: list[SerialTask] = []
        self.next: list[SerialTask] = []
        self.state: str = states.PENDING
        self.traceback: str | None = None
        self._outcome: Any = None
        self._held: list[_Held] = []

    # What became of it

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

    # Its family

    def subtask(self, target: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """Run a task now, with which this one fails, and return it; of a group, return its
        tasks.
        """
        signature = signature_of(target, args, kwargs)
        if isinstance(signature, group):
            return [self.subtask(part, tuple(signature.args)) for part in signature.tasks]
        child = SerialTask(str(signature.task), parent=self)
        self.subtasks.append(child)
        child.run(signature.apply)
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
        """Run a task once this one has succeeded, with its result before the other arguments.

        Args:
            force: run it after a failure, too, with ``None``.
        """
        after = links.END if force else links.SUCCESS
        return self._chain(after, signature_of(target, args, kwargs))

    def errback(
        self, target: Any, args: Any = (), kwargs: Any = None, **options: Any
    ) -> SerialTask:
        """Run a task if this one does not succeed, with the error in words before the other
        arguments.
        """
        return self._chain(links.FAILURE, signature_of(target, args, kwargs))

    errorback = errback

    def tree(self, limit: int = 1000) -> Tree:
        """Return the task and everything below it."""
        return Tree(self, [below.tree(limit) for below in (*self.subtasks, *self.next)])

    @property
    def previous_id(self) -> str | None:
        """The id of the task that it is chained to."""
        return None if self.previous is None else str(self.previous.id)

    @property
    def root(self) -> SerialTask:
        """The first of its ancestors, or itself."""
        above = self.previous or self.parent
        return self if above is None else above.root

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the task has run."""

    # Running

    def run(self, apply: Callable[..., Any]) -> None:
        """Run the task as Celery does without a worker.

        Args:
            apply: does so with the id ``task_id``.
        """
        _expected[self.id] = self
        result = _ended(apply(task_id=self.id))
        self._end(result.state, result.result)
        self.traceback = result.traceback

    def perform(self, body: Callable[[], Any], *, may_fail: bool) -> Any:
        """Run the body and what is chained to its task; return the value: of a task that the body
        has returned, its result.

        Args:
            may_fail: whether the task succeeds although some of its subtasks have failed.
        """
        self.state = states.STARTED
        try:
            value = body()
            for child in () if may_fail else self.subtasks:
                child.wait()
            value = value.wait() if isinstance(value, SerialTask) else value
        except (Ignore, Reject, Retry):
            raise
        except Exception as exc:
            self._end(states.FAILURE, exc)
            raise
        self._end(states.SUCCESS, value)
        return value

    def _end(self, state: str, outcome: Any) -> None:
        self.state, self._outcome = state, outcome
        held, self._held = self._held, []
        for one in held:
            self._go_on(one)

    def _chain(self, after: str, signature: Signature) -> SerialTask:
        task = SerialTask(str(signature.task), parent=self.parent, previous=self)
        self.next.append(task)
        if self.parent is not None and after != links.FAILURE:
            self.parent.subtasks.append(task)  # which waits for it, too
        self._held.append(_Held(after, signature, task))
        if self.state in states.READY_STATES:
            self._end(self.state, self._outcome)
        return task

    def _go_on(self, held: _Held) -> None:
        succeeded = self.state == states.SUCCESS
        if held.after == links.END or succeeded == (held.after == links.SUCCESS):
            given = self.error if held.after == links.FAILURE else self.result
            part = held.signature
            held.task.run((part if part.immutable else part.clone(args=(given,))).apply)
        elif held.after == links.FAILURE:
            self.next.remove(held.task)
        else:
            held.task._end(self.state, self._outcome)


class _Held(NamedTuple):
    """A task that waits for the end of another one."""

    after: str
    signature: Signature
    task: SerialTask


def run_here(name: str, apply: Callable[..., Any]) -> SerialTask:
    """Run a task now, and return what became of it; see ``SerialTask.run``."""
    task = SerialTask(name)
    task.run(apply)
    return task


def expected(name: str, task_id: str | None) -> SerialTask:
    """Return the task for whose body Celery was asked, or a new one."""
    found = _expected.get(task_id) if task_id else None
    if found is not None and found.name == name:  # a chain's tasks have its id, too
        return found
    return SerialTask(name, task_id or "")


def _ended(result: Any) -> Any:
    if isinstance(result, EagerResult):
        return result
    try:  # of a canvas that ends in a group
        return EagerResult(result.id, result.get(), states.SUCCESS)
    except Exception as exc:
        return EagerResult(result.id, exc, states.FAILURE)


#: Tasks whose bodies are about to run, by id.
_expected: WeakValueDictionary[str, SerialTask] = WeakValueDictionary()
