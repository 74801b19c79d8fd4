"""Makes tasks of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from inspect import signature
from typing import Any

from celery import shared_task

from cq_compat.native.celery_task import NativeTask

Errors = type[Exception] | Sequence[type[Exception]]
Function = Callable[..., Any]

#: Says that an option was not given, where ``None`` means something.
_UNSET: Any = object()


def task(
    name: Function | str | None = None,
    *,
    atomic: bool = True,
    retries: int | None = None,
    retry_on: Errors = (),
    queue: str | None = None,
    ttl: float | timedelta | None = None,
    result_ttl: float | timedelta | None = _UNSET,
    coalesce: bool | Callable[..., Any] = False,
    **options: Any,
) -> Any:
    """Make a Celery task of a function whose first argument is the running task.

    Args:
        name: the task's name; by default Celery's, from the module and the function.
        atomic: run the body in a transaction, which also ends the task where the rows are in the
            default database: what the body has written is then seen once, with its outcome.
        retries: how often a body that fails runs again.
        retry_on: the errors after which it does; by default all, if ``retries`` is given.
        queue: where its messages go, unless the caller says otherwise.
        ttl: seconds in which it must have been started; later it is revoked.
        result_ttl: seconds for which its row is kept after its end, ``None`` for ever; by default
            as ``CQ["RETENTION"]`` says.
        coalesce: do not publish it while one is pending or runs: ``delay()`` then returns that one.
            A function gets the arguments and returns what is to be alike.
        options: Celery's own.
    """
    if callable(name):
        return task()(name)
    rule = staticmethod(coalesce) if callable(coalesce) else coalesce
    options |= {"atomic": atomic, "coalesce": rule, "default_queue": queue}
    options = {**_retrying(retries, retry_on), **options}
    if ttl is not None:
        options["expires"] = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if result_ttl is not _UNSET:
        options["retention"] = result_ttl
    if name is not None:
        options["name"] = name

    def decorate(function: Function) -> Any:
        return shared_task(**{"base": NativeTask, **options, "bind": True})(_body_of(function))

    return decorate


def _retrying(retries: int | None, retry_on: Errors) -> dict[str, Any]:
    if retries is None and not retry_on:
        return {}
    errors = (retry_on,) if isinstance(retry_on, type) else tuple(retry_on)
    found: dict[str, Any] = {"autoretry_for": errors or (Exception,), "retry_backoff": True}
    return found if retries is None else {**found, "max_retries": retries}


def _body_of(function: Function) -> Function:
    @wraps(function)
    def body(celery_task: NativeTask, /, *args: Any, **kwargs: Any) -> Any:
        return celery_task.perform(function, args, kwargs)

    # Celery checks arguments by it when a task is published.
    body.__signature__ = signature(function)  # type: ignore[attr-defined]
    return body
