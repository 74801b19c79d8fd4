"""Celery tasks on a Django Channels layer."""

from cq_compat.asynchronous import aget

__all__ = ["aget"]
