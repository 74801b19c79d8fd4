"""The Celery task behind a function of ``@task``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from celery.contrib.django.task import DjangoTask
from django.db import transaction
from kombu.utils.uuid import uuid

from cq_compat.native.canvas import drop_next
from cq_compat.native.coalescing import key_of, publish_one
from cq_compat.native.departing import (
    Replaced,
    ReplaceLater,
    RetryLater,
    in_transaction,
    is_in_transaction,
)
from cq_compat.native.ending import end_with_body, waits
from cq_compat.native.replacing import replace_with_body
from cq_compat.native.running import begin_in_place, current_task, handle, task_of
from cq_compat.native.serial import SerialTask, expected, run_here

if TYPE_CHECKING:
    from cq_compat.models import Task

#: Options by which a canvas ties a task to others: one that was not published would be missed.
_CANVAS = ("root_id", "group_id", "chord", "chain")


class NativeTask(DjangoTask):  # type: ignore[misc]
    """Gives the body its task, and whoever publishes it the task that will run.

    The attributes are options of ``@task``.
    """

    abstract = True
    Request = "cq_compat.native.request:NativeRequest"
    atomic = True
    coalesce: bool | Callable[..., Any] = False
    default_queue: str | None = None
    subtasks_may_fail = False
    holds_next = True

    # Running

    def perform(self, body: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the body for a worker, or for whoever has called it."""
        request = self.request
        if request.called_directly or request.is_eager:
            return self._perform_here(request, body, args, kwargs)
        run = partial(body, task_of(self), *args, **kwargs)
        if self.atomic:
            return self._perform_in_transaction(request, run)
        value = run()
        if waits(self, value):
            drop_next(request)
        return value

    def _perform_in_transaction(self, request: Any, run: Callable[[], Any]) -> Any:
        try:
            with transaction.atomic(), in_transaction(request):
                value, has_next = self._end_or_leave(run)
        except RetryLater as later:
            return later.publish()
        if isinstance(value, ReplaceLater):
            return value.publish()
        if isinstance(value, Replaced):
            raise value
        if not has_next:
            drop_next(request)
        return value

    def _end_or_leave(self, run: Callable[[], Any]) -> tuple[Any, bool]:
        try:
            value = run()
        except ReplaceLater as later:
            return replace_with_body(self, later), True
        return value, end_with_body(self, value)

    def _perform_here(self, request: Any, body: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        task = expected(self.name, request.id)
        begin_in_place(request, task)
        with self._transaction_here(request):
            run = partial(body, task, *args, **kwargs)
            return task.perform(run, may_fail=self.subtasks_may_fail)

    def _transaction_here(self, request: Any) -> AbstractContextManager[Any]:
        # Eagerly it runs as for a worker; a function that is called is a part of what calls it.
        if self.atomic and request.is_eager and self.app.conf.task_always_eager:
            return transaction.atomic()
        return nullcontext()

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task once more, as Celery does; what a body in a transaction has written is
        undone before.
        """
        publish = partial(super().retry, *args, **kwargs)
        if kwargs.get("throw", True) and is_in_transaction(self.request):
            raise RetryLater(publish)
        return publish()

    def on_replace(self, sig: Any) -> Any:
        """Let others run in the task's place, as Celery does, once a body in a transaction is left:
        in that transaction, if the tasks' rows are, too.
        """
        publish = partial(super().on_replace, sig)
        if is_in_transaction(self.request):
            raise ReplaceLater(publish)
        return publish()

    # Publishing

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Publish the task, as Celery does, and return it."""
        if self.default_queue and not options.keys() & {"queue", "exchange", "routing_key"}:
            options["queue"] = self.default_queue
        publish = partial(super().apply_async, args, kwargs, **options)
        if self.app.conf.task_always_eager:
            return run_here(self.name, publish)
        if any(options.get(name) for name in _CANVAS):
            return self._handle(publish().id)
        if isinstance(current_task(), SerialTask):
            return run_here(self.name, partial(self.apply, args, kwargs))
        key = key_of(self.name, self.coalesce, tuple(args or ()), kwargs or {})
        if key is None:
            return self._handle(publish().id)
        task_id = options.get("task_id") or uuid()
        return self._handle(publish_one(key, task_id, partial(publish, task_id=task_id)))

    def apply_async_on_commit(self, args: Any = None, kwargs: Any = None, **options: Any) -> Task:
        """Publish the task when the transaction commits, and return it."""
        task = self._handle(options.pop("task_id", None) or uuid())

        def publish() -> None:  # the id is another one if the task is coalesced
            task.id = self.apply_async(args, kwargs, task_id=task.id, **options).id

        transaction.on_commit(publish)
        return task

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> Task:
        """Publish the task when the transaction commits, and return it."""
        return self.apply_async_on_commit(args, kwargs)

    async def adelay(self, *args: Any, **kwargs: Any) -> Task:
        """Publish the task from asynchronous code."""
        found: Task = await sync_to_async(self.delay)(*args, **kwargs)
        return found

    def _handle(self, task_id: str) -> Task:
        return handle(task_id, name=self.name)
