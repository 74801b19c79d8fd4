"""A small Django project with Celery tasks, run by real workers in tests."""

from tests.project.celery import app as celery_app

__all__ = ["celery_app"]
