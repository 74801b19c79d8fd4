"""The Celery task behind a function of ``@task``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from celery.contrib.django.task import DjangoTask

from cq_compat.native.running import handle, task_of

if TYPE_CHECKING:
    from cq_compat.models import Task


class NativeTask(DjangoTask):  # type: ignore[misc]
    """Gives the body its task, and whoever publishes it the task that will run."""

    abstract = True
    atomic = True
    coalesce: bool | Callable[..., Any] = False
    default_queue: str | None = None

    def perform(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the body."""
        return function(task_of(self), *args, **kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Task:
        """Publish the task, as Celery does, and return it."""
        if self.default_queue and not options.keys() & {"queue", "exchange", "routing_key"}:
            options["queue"] = self.default_queue
        result = super().apply_async(args, kwargs, **options)
        return handle(result.id, name=self.name)

    async def adelay(self, *args: Any, **kwargs: Any) -> Task:
        """Publish the task from asynchronous code."""
        found: Task = await sync_to_async(self.delay)(*args, **kwargs)
        return found
