"""Tells workers that tasks are revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import current_app
from kombu.exceptions import KombuError
from kombu.log import get_logger

logger = get_logger(__name__)

COMMAND = "cq_terminate"
#: Seconds and attempts to reach the broker: kombu by itself would try for ever.
TIMEOUT, ATTEMPTS = 5.0, 1


def tell_workers(
    kept: Sequence[str], observed: Sequence[str], *, terminate: bool, signal: str
) -> bool:
    """Tell workers that tasks are revoked; tell whether the broker took the message.

    Args:
        kept: tasks that do not start any more, and whose bodies are to be ended.
        observed: tasks of another broker, which only Celery's own command keeps from starting.
        terminate: whether to end the bodies of the latter, too.
    """
    control = current_app.control
    try:
        with current_app.connection_for_write() as connection:
            _reach(connection)
            if kept:
                arguments = {"task_ids": kept, "signal": signal}
                control.broadcast(COMMAND, arguments=arguments, connection=connection)
            if observed:
                control.revoke(observed, terminate=terminate, signal=signal, connection=connection)
    except (KombuError, OSError) as exc:
        logger.warning("Tasks are revoked, but workers could not be told: %s", exc)
        return False
    return True


def _reach(connection: Any) -> None:
    connection.ensure_connection(max_retries=ATTEMPTS, timeout=TIMEOUT)
    layer = getattr(connection.transport, "layer", None)
    if layer is not None:
        layer.connect()  # with rows, the connection alone does not need it


def register_command() -> None:
    """Let this worker end bodies when it is told to.

    Celery's own command ``revoke`` would also have the worker refuse the ids for hours, and so
    refuse a task that is run again.
    """
    from celery.worker.control import control_command

    control_command(args=[("task_ids", list), ("signal", str)], name=COMMAND)(_terminate)


def _terminate(state: Any, task_ids: Sequence[str], signal: str = "SIGTERM") -> dict[str, Any]:
    """End the processes that run these tasks."""
    from celery.worker import state as worker_state

    running = [worker_state.requests.get(task_id) for task_id in task_ids]
    ended = [request for request in running if request is not None and request.time_start]
    for request in ended:
        logger.warning("Task %s[%s] is terminated: it was revoked.", request.name, request.id)
        request.terminate(state.consumer.pool, signal=signal)
    return {"ok": f"{len(ended)} terminated"}
