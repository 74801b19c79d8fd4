"""Celery tasks on a Django Channels layer."""
