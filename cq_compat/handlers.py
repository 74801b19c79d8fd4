"""Receivers of Celery's signals, one call each.

Celery logs what a receiver raises, once for each task; what an observer raises is said once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import signals
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.signals import connection_created
from kombu.log import get_logger

from cq_compat.database import close_all
from cq_compat.native.log_handler import attach
from cq_compat.native.telling import settle
from cq_compat.observing import observer
from cq_compat.workers import (
    begin_worker,
    end_failed,
    end_revoked,
    end_worker,
    settle_task,
)

logger = get_logger(__name__)
Receiver = Callable[..., None]


def connect() -> None:
    """Let the ledger listen to Celery."""
    signals.worker_init.connect(_on_worker_init, dispatch_uid="cq.worker_init")
    signals.worker_shutdown.connect(_on_worker_shutdown, dispatch_uid="cq.worker_shutdown")
    signals.task_postrun.connect(_on_task_postrun, dispatch_uid="cq.task_postrun")
    signals.task_failure.connect(_on_task_failure, dispatch_uid="cq.task_failure")
    signals.task_revoked.connect(_on_task_revoked, dispatch_uid="cq.task_revoked")


def connect_observer() -> None:
    """Let the observer listen to Celery."""
    for name, receiver in _OBSERVERS.items():
        getattr(signals, name).connect(receiver, dispatch_uid=f"cq.observer.{name}")


def connect_journal() -> None:
    """Let tasks keep what they log, and be written before they end."""
    signals.task_prerun.connect(_on_body, dispatch_uid="cq.journal.begin")
    signals.task_postrun.connect(_on_body_done, dispatch_uid="cq.journal.end")


def connect_database() -> None:
    """Let the connections of this app be closed when Django's are, in a project's tests."""
    connection_created.connect(_on_connection_created, dispatch_uid="cq.connection_created")


def _on_connection_created(connection: Any, **kwargs: Any) -> None:
    # By this one test databases are made and dropped, which nobody else may use then.
    if connection.alias == NO_DB_ALIAS:
        close_all()


def _on_body(task: Any, **kwargs: Any) -> None:
    attach(task)


def _on_body_done(task: Any, **kwargs: Any) -> None:
    settle(task.request)


def _on_worker_init(sender: Any, **kwargs: Any) -> None:
    begin_worker(sender)


def _on_worker_shutdown(**kwargs: Any) -> None:
    end_worker()


def _on_task_postrun(task: Any, state: Any, retval: Any, **kwargs: Any) -> None:
    settle_task(task, state, retval)


def _on_task_failure(sender: Any, task_id: str, exception: Any, einfo: Any, **kwargs: Any) -> None:
    end_failed(sender, task_id, exception, einfo)


def _on_task_revoked(sender: Any, request: Any, **kwargs: Any) -> None:
    end_revoked(sender, request)


_reported: set[str] = set()


def _quiet(receiver: Receiver) -> Receiver:
    @wraps(receiver)
    def observe(**kwargs: Any) -> None:
        try:
            receiver(**kwargs)
        except Exception:
            if receiver.__name__ not in _reported:
                _reported.add(receiver.__name__)
                logger.warning("%s: a task is not observed", receiver.__name__, exc_info=True)

    return observe


@_quiet
def _before_publish(headers: Any, **kwargs: Any) -> None:
    observer.publishing(headers)


@_quiet
def _after_publish(headers: Any, body: Any, exchange: Any, routing_key: Any, **kwargs: Any) -> None:
    observer.published(headers, body, exchange, routing_key)


@_quiet
def _on_received(request: Any, **kwargs: Any) -> None:
    observer.received(request)


@_quiet
def _on_prerun(task: Any, **kwargs: Any) -> None:
    observer.started(task.request)


@_quiet
def _on_success(sender: Any, result: Any, **kwargs: Any) -> None:
    observer.succeeded(sender, result)


@_quiet
def _on_failure(sender: Any, task_id: str, exception: Any, einfo: Any, **kwargs: Any) -> None:
    observer.failed(sender, task_id, exception, einfo)


@_quiet
def _on_retry(sender: Any, request: Any, einfo: Any, reason: Any = None, **kwargs: Any) -> None:
    observer.retried(sender, request, reason, einfo)


@_quiet
def _on_revoked(sender: Any, request: Any, terminated: Any, expired: Any, **kwargs: Any) -> None:
    observer.revoked(sender, request, terminated=bool(terminated), expired=bool(expired))


@_quiet
def _on_postrun(task: Any, state: Any, retval: Any, **kwargs: Any) -> None:
    observer.returned(task, state, retval)


@_quiet
def _on_unknown(message: Any, name: str, **kwargs: Any) -> None:
    observer.unknown(message, name)


@_quiet
def _on_rejected(message: Any, **kwargs: Any) -> None:
    observer.refused(message)


@_quiet
def _on_worker_ready(sender: Any, **kwargs: Any) -> None:
    observer.begin_worker(sender)


@_quiet
def _on_shutdown(**kwargs: Any) -> None:
    observer.end_worker()


_OBSERVERS: dict[str, Receiver] = {
    "before_task_publish": _before_publish,
    "after_task_publish": _after_publish,
    "task_received": _on_received,
    "task_prerun": _on_prerun,
    "task_success": _on_success,
    "task_failure": _on_failure,
    "task_internal_error": _on_failure,
    "task_retry": _on_retry,
    "task_revoked": _on_revoked,
    "task_postrun": _on_postrun,
    "task_unknown": _on_unknown,
    "task_rejected": _on_rejected,
    "worker_ready": _on_worker_ready,
    "worker_shutdown": _on_shutdown,
}
