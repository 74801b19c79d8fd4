"""Tasks and workers, as the page wants them, out of the state that events describe."""

from typing import Any

from celery import states
from celery.events.state import State, Task

TASKS = 40
TEXT = 200  # characters
RUNNING = (states.STARTED, "PROGRESS")


def recent_tasks(state: State) -> list[dict[str, Any]]:
    """Return the tasks that were active of late: running ones first, then the youngest."""
    tasks = [_task(task) for _, task in state.tasks_by_time(limit=TASKS) if task.name]
    return sorted(tasks, key=_place)


def running_workers(state: State) -> list[dict[str, Any]]:
    """Return the workers that are alive."""
    return [
        {"name": worker.hostname, "active": worker.active or 0, "done": worker.processed or 0}
        for worker in state.workers.values()
        if worker.alive
    ]


def _place(task: dict[str, Any]) -> tuple[bool, float]:
    if task["state"] in RUNNING:
        return False, task["at"]  # the longest at the top, where its stop button stays
    return True, -task["at"]


def _task(task: Task) -> dict[str, Any]:
    # A stopped task may have been in a state of its own, which Celery ranks above REVOKED.
    state = states.REVOKED if task.revoked else task.state
    finished = state in states.READY_STATES
    return {
        "id": task.uuid,
        "name": task.name.rpartition(".")[2],
        "args": _short(task.args),
        "state": state,
        "finished": finished,
        "retries": task.retries or 0,
        "progress": None if finished else getattr(task, "progress", None),
        "seconds": task.runtime,
        "outcome": _short(task.exception if state != states.SUCCESS else task.result),
        "at": task.sent or task.received or task.timestamp,
    }


def _short(text: Any) -> str:
    text = "" if text is None else str(text)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"
