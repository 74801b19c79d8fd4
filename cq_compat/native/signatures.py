"""What may be run as a subtask or in a chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Task as CeleryTask
from celery import current_app
from celery.canvas import Signature


def signature_of(target: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Signature:
    """Return the signature of a task with its arguments.

    Args:
        target: a function of ``@task`` or ``@shared_task``, the name of one, or a signature, to
            which the arguments are added.
        args: a tuple of arguments, or a single one that is no tuple.

    Raises:
        TypeError: it is none of these.
    """
    args = args if isinstance(args, tuple) else (args,)
    if isinstance(target, Signature):
        return target.clone(args=args, kwargs=dict(kwargs or {}))
    if isinstance(target, (CeleryTask, str)):
        return current_app.signature(getattr(target, "name", target), args, dict(kwargs or {}))
    raise TypeError(f"{target!r} is no task; put @task or @shared_task in front of the function.")
