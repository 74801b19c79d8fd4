"""Tasks and workers, as the page wants them: the former are rows, the latter send events."""

from typing import Any

from celery import states
from celery.events.state import State
from kombu.utils.json import loads

TASKS = 40
TEXT = 200  # characters
PROGRESS = "PROGRESS"
RUNNING = (states.STARTED, PROGRESS)


def recent_tasks() -> list[dict[str, Any]]:
    """Return the youngest tasks, running ones first."""
    from cq_compat.models import Task  # a model, which Django must have loaded

    tasks = [_task(row) for row in Task.objects.exclude(name="")[:TASKS]]
    return sorted(tasks, key=_place)


def running_workers(state: State) -> list[dict[str, Any]]:
    """Return the workers that are alive."""
    return [
        {"name": worker.hostname, "active": worker.active or 0, "done": worker.processed or 0}
        for worker in state.workers.values()
        if worker.alive
    ]


def percent(row: Any) -> float | None:
    """Return how far a task is, if it has said so and knows how much there is to do."""
    if row.progress_done is None or not row.progress_total:
        return None
    return float(100 * row.progress_done / row.progress_total)


def short(value: Any) -> str:
    """Return a value as a text of bounded length."""
    text = "" if value is None else str(value)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def _place(task: dict[str, Any]) -> tuple[bool, float]:
    if task["state"] in RUNNING:
        return False, task["at"]  # the longest at the top, where its stop button stays
    return True, -task["at"]


def _task(row: Any) -> dict[str, Any]:
    result = None if row.encoded_result is None else loads(row.encoded_result)
    return {
        "id": row.pk,
        "name": row.name.rpartition(".")[2],
        "args": short(row.args),
        "state": row.state,
        "finished": row.is_finished,
        "retries": row.retries,
        "progress": percent(row) if row.state in RUNNING else None,
        "seconds": _seconds(row),
        "outcome": short(_outcome(result)),
        "at": row.created_at.timestamp(),
    }


def _seconds(row: Any) -> float | None:
    if row.started_at is None or row.finished_at is None:
        return None
    return float((row.finished_at - row.started_at).total_seconds())


def _outcome(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    said = result.get("exc_message")  # else it is what is known of a task that runs
    text = " ".join(map(str, said)) if isinstance(said, list) else said
    return f"{result['exc_type']}: {text}" if "exc_type" in result else None
