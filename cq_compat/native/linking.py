"""Publishes tasks with their places in a family."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery import Celery
from celery.canvas import Signature, chord, group, maybe_signature
from celery.canvas import _chain as chain
from celery.result import GroupResult
from django.db import DEFAULT_DB_ALIAS

from cq_compat.database import alias
from cq_compat.errors import NotRunningHere, RowsNeeded
from cq_compat.links import Link
from cq_compat.native.running import current_task, handle
from cq_transport import current_ledger
from cq_transport.options import SCHEME


def publish(signature: Signature, link: Link, root_id: str, options: dict[str, Any]) -> Any:
    """Publish a signature all of whose tasks have a link; return the task that ends last, or those
    of a group.
    """
    signature = signature.clone()
    _link(signature, link)
    if not isinstance(signature, (group, chain, chord)):
        options = {"root_id": root_id, **options}  # of the others Celery knows it
    result = signature.apply_async(**options)
    if isinstance(result, GroupResult):
        return [_handle(part.id, link) for part in result.results]
    return _handle(result.id, link)


def _handle(task_id: str, link: Link) -> Any:
    return handle(
        task_id,
        is_subtask=link.subtask_of is not None,
        previous_id=link.previous_id,
        **({"parent_id": link.subtask_of} if link.subtask_of else {}),
    )


def _link(signature: Signature, link: Link) -> None:
    """Give every task of a signature its place; what runs after others of it is held by these."""
    if isinstance(signature, chord):
        signature.tasks = _linked(signature.tasks, link)
        signature.body = _linked([signature.body], link.later)[0]
    elif isinstance(signature, group):
        signature["kwargs"]["tasks"] = _linked(signature.tasks, link)
    elif isinstance(signature, chain):
        first, *others = signature.tasks
        signature["kwargs"]["tasks"] = [*_linked([first], link), *_linked(others, link.later)]
    else:
        if link.previous_id is not None and not signature.immutable:
            # Celery counts the arguments; the result of the previous task is put in this place.
            signature.args = (None, *signature.args)
            link = replace(link, takes_result=True)
        headers = signature.options.get("headers") or {}
        signature.options["headers"] = {**headers, **link.headers()}


def _linked(parts: Any, link: Link) -> list[Signature]:
    found = [maybe_signature(part, clone=True) for part in parts]
    for one in found:
        _link(one, link)
    return found


def root_of(task: Any) -> str:
    """Return the id of the first ancestor of the running task."""
    running: Any = current_task()
    return str(running.root_id or running.pk)


def keeps_rows(app: Celery) -> bool:
    """Tell whether what is published gets rows, in the publisher's transaction."""
    urls = app.conf.broker_write_url
    first = urls if isinstance(urls, str) else next(iter(urls or ()), "")
    return current_ledger().is_durable and str(first).startswith(f"{SCHEME}:")


def has_rows_here(app: Celery) -> bool:
    """Tell whether they are in the transaction of a body of ``@task``."""
    return alias() == DEFAULT_DB_ALIAS and keeps_rows(app)


def check_kept(app: Celery) -> None:
    """Refuse to link tasks that would have no rows.

    Raises:
        RowsNeeded: they would not be waited for, or would not wait.
    """
    if not keeps_rows(app):
        raise RowsNeeded.here()


def check_open(task: Any) -> None:
    """Refuse a subtask of a task that may end before.

    Raises:
        NotRunningHere: neither its body runs here nor that of one of its subtasks.
    """
    from cq_compat.models import Task

    running: Any = current_task()
    while isinstance(running, Task):
        if running.pk == task.pk:
            return
        running = running.parent if running.is_subtask else None
    raise NotRunningHere.of(task)
