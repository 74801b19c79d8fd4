"""Results and errors as the backend ``cq`` would store them, so that it can read them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery import Celery, current_app
from celery.app.task import Context
from celery.backends.base import BaseBackend

from cq_compat import states
from cq_compat.backend import CqBackend
from cq_compat.encoding import encode_text, storable
from cq_compat.mirror import Outcome

#: Characters from which on a result or a traceback is left to the result backend.
LONGEST = 1_000_000


def result_outcome(task: Any, result: Any) -> Outcome:
    """Return what a task that has ended well leaves behind."""
    if isinstance(task.backend, CqBackend) or not _keeps(task, task.request):
        return Outcome(states.SUCCESS)  # stored by now, or not wanted
    return Outcome(states.SUCCESS, *_encoded(task, result, states.SUCCESS))


def error_outcome(task: Any, state: str, error: Any, einfo: Any) -> Outcome:
    """Return what an error leaves behind."""
    traceback = None if einfo is None else storable(einfo.traceback)
    if traceback is not None and len(traceback) > LONGEST:
        traceback = traceback[-LONGEST:]
    return Outcome(state, *_encoded(task, error, state), traceback)


def _encoded(task: Any, value: Any, state: str) -> tuple[str | None, str]:
    backend = _encoder(current_app._get_current_object() if task is None else task.app)
    try:
        text, content_type = encode_text(backend.encode_result(value, state), backend.serializer)
    except Exception:  # the serializer's own: what no backend could store
        return None, ""
    return (text, content_type) if len(text) <= LONGEST else (None, "")


@lru_cache(maxsize=8)
def _encoder(app: Celery) -> BaseBackend:
    return BaseBackend(app)


def _keeps(task: Any, request: Context) -> bool:
    wanted = vars(request).get("ignore_result")
    return not (task.ignore_result if wanted is None else wanted)
