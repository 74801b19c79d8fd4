"""The project's tasks as signatures of an app that has not imported them."""

from typing import Any

from celery import Celery
from celery.canvas import Signature
from celery.result import AsyncResult

PACKAGE = "tests.project.tasks"
TIMEOUT = 30.0  # seconds to wait for a result


def task(app: Celery, name: str, *args: Any, **options: Any) -> Signature:
    """Return the signature of a task of the project."""
    return app.signature(f"{PACKAGE}.{name}", args=args, options=options)


def send(app: Celery, name: str, *args: Any, **options: Any) -> AsyncResult:
    """Publish a task of the project."""
    return app.send_task(f"{PACKAGE}.{name}", args, **options)


def call(app: Celery, name: str, *args: Any, **options: Any) -> Any:
    """Publish a task of the project and return its result."""
    return send(app, name, *args, **options).get(timeout=TIMEOUT)
