"""A small shop on Django and Celery; `python -m demo` runs all of it."""

from demo.celery import app as celery_app

__all__ = ["celery_app"]
