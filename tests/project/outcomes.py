"""Tasks that end in every way in which a task may end."""

from typing import Any

from celery import Task, chain, chord, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from tests.project.tasks import add, fail, total, work, write_record


@shared_task(bind=True)
def replace_by_chain(self: Task) -> None:
    """Let 1 + 2 + 3 be added by others."""
    raise self.replace(chain(add.s(1, 2), add.s(3)))


@shared_task(bind=True)
def replace_by_chord(self: Task) -> None:
    """Let 0 + 1 + 2 be added by others."""
    raise self.replace(chord([add.s(number, 0) for number in range(3)], total.s()))


@shared_task(bind=True)
def replace_by_group(self: Task) -> None:
    """Let each of 0, 1 and 2 be had from others."""
    raise self.replace(group(add.s(number, 0) for number in range(3)))


@shared_task(bind=True)
def replace_by_failure(self: Task) -> None:
    """Let others fail in the task's place."""
    raise self.replace(chain(fail.si("replaced"), add.s(1)))


@shared_task(bind=True)
def halt(self: Task) -> None:
    """Store a state of the task's own, and leave it at that."""
    self.update_state(state="HALTED", meta={"percent": 50})
    raise Ignore


@shared_task
def ignore() -> None:
    """End without an outcome."""
    raise Ignore


@shared_task(acks_late=True)
def reject() -> None:
    """Refuse the message for good."""
    raise Reject("refused", requeue=False)


@shared_task(bind=True, autoretry_for=(ValueError,), default_retry_delay=0, max_retries=2)
def retry_by_itself(self: Task, times: int) -> int:
    """Fail so many times, then return how often it was retried."""
    if self.request.retries < times:
        raise ValueError(self.request.retries)
    return int(self.request.retries)


@shared_task(soft_time_limit=1)
def clean_up() -> str:
    """Outlast the soft time limit, and say so."""
    try:
        work.run(60)
    except SoftTimeLimitExceeded:
        return "cleaned up"
    return "not reached"


@shared_task
def note_failure(request: Any, exc: Exception, traceback: Any) -> None:
    """Record the state in which a failed task was found by its error callback."""
    write_record(request.id, note_failure.app.AsyncResult(request.id).state)


@shared_task(bind=True)
def family(self: Task) -> list[str]:
    """Publish two tasks and return their ids."""
    return [add.delay(number, 1).id for number in range(2)]


@shared_task
def result_of_another() -> Any:
    """Return Celery's result of another task, as a value."""
    return add.delay(1, 2)
