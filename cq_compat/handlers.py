"""Receivers of Celery's signals."""

from __future__ import annotations

from typing import Any

from celery import signals

from cq_compat.workers import begin_worker, end_worker, settle_task


def connect() -> None:
    """Listen to Celery."""
    signals.worker_init.connect(_on_worker_init, dispatch_uid="cq.worker_init")
    signals.worker_shutdown.connect(_on_worker_shutdown, dispatch_uid="cq.worker_shutdown")
    signals.task_postrun.connect(_on_task_postrun, dispatch_uid="cq.task_postrun")


def _on_worker_init(sender: Any, **kwargs: Any) -> None:
    begin_worker(sender)


def _on_worker_shutdown(**kwargs: Any) -> None:
    end_worker()


def _on_task_postrun(task: Any, state: Any, retval: Any, **kwargs: Any) -> None:
    settle_task(task, state, retval)
