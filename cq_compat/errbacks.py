"""Tells error callbacks that Celery publishes from those that it calls where the task failed."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import Celery
from celery.exceptions import NotRegistered
from celery.utils.functional import arity_greater


def is_called(app: Celery, errback: Any) -> bool:
    """Tell whether Celery calls an error callback itself: one that takes the request, the exception
    and the traceback. Celery decides it in the same way, and makes no difference where both err.
    """
    try:
        task = app.signature(errback).type
    except NotRegistered:
        return False
    header = getattr(task, "__header__", None)
    if header is None or isinstance(header, partial):
        return False
    return bool(arity_greater(header, 1))
