"""Receivers of Celery's signals."""

from __future__ import annotations

from typing import Any

from celery import signals

from cq_compat.workers import begin_worker, end_worker, settle_task, start_keeper


def connect() -> None:
    """Listen to Celery."""
    signals.celeryd_init.connect(_on_celeryd_init, dispatch_uid="cq.celeryd_init")
    signals.worker_ready.connect(_on_worker_ready, dispatch_uid="cq.worker_ready")
    signals.worker_shutdown.connect(_on_worker_shutdown, dispatch_uid="cq.worker_shutdown")
    signals.task_postrun.connect(_on_task_postrun, dispatch_uid="cq.task_postrun")


def _on_celeryd_init(instance: Any, **kwargs: Any) -> None:
    begin_worker(instance)


def _on_worker_ready(sender: Any, **kwargs: Any) -> None:
    start_keeper(sender)


def _on_worker_shutdown(**kwargs: Any) -> None:
    end_worker()


def _on_task_postrun(task: Any, state: Any, **kwargs: Any) -> None:
    settle_task(task, state)
