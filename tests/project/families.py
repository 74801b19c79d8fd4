"""Tasks with subtasks and chained tasks."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from celery import Task as CeleryTask
from celery import chain, chord, group, shared_task
from celery.exceptions import Ignore
from django.db import transaction

from cq_compat import current_task, task
from tests.project.native import calc_a, send_email, wait_for, write_effect
from tests.project.tasks import add, total, write_record
from tests.servers.waiting import wait_until

logger = logging.getLogger(__name__)


@task
def send_emails(task: Any) -> str:
    """Be an example of django-cq's README."""
    for addr in ("a@example.org", "b@example.org"):
        task.subtask(send_email, addr)
    return "OK"


@task(atomic=False)  # SQLite has one transaction at a time
def wait_a_while(task: Any, gate: str = "", value: Any = None) -> Any:
    """Wait until the file `gate` exists, and return the value."""
    write_record(task.id, "start", sync=False)
    wait_for(gate)
    write_record(task.id, "end", sync=False)
    return value


@task
def parent(task: Any, gate: str) -> str:
    """Be another example: publish one task, and begin another."""
    wait_a_while.delay(gate)
    task.subtask(wait_a_while, (gate,))
    return "parent"


@task
def add_a_to_4(task: Any, a: int, b: int) -> int:
    """Return the sum."""
    return a + b


@task
def calculate_something(task: Any) -> Any:
    """Be the third example."""
    return calc_a.delay(3).chain(add_a_to_4, (4,))


@task
def fails_at(task: Any, number: int, failing: tuple[int, ...]) -> int:
    """Fail if the number is one of those."""
    if number in failing:
        raise ValueError(f"number {number}")
    return number


@task
def has_failing(task: Any, count: int, failing: list[int]) -> str:
    """Begin as many subtasks, some of which fail."""
    for number in range(count):
        task.subtask(fails_at, (number, failing))
    return "all"


@task(subtasks_may_fail=True)
def tolerates_failing(task: Any, count: int, failing: list[int]) -> str:
    """Begin as many subtasks, some of which may fail."""
    for number in range(count):
        task.subtask(fails_at, (number, failing))
    return "most"


@task
def has_failing_below(task: Any) -> None:
    """Begin a subtask whose own subtask fails."""
    task.subtask(has_failing, (1, [0]))


@task
def begins_and_fails(task: Any) -> None:
    """Begin a subtask, and fail."""
    write_effect(task.id)
    task.subtask(wait_a_while)
    raise ValueError("on purpose")


@shared_task(bind=True)
def plain_parent(self: CeleryTask, gate: str) -> str:
    """Begin subtasks from a task of Celery's."""
    running: Any = current_task()
    running.subtask(wait_a_while, (gate,))
    running.subtask(add, (1, 2))
    return "plain"


@shared_task(bind=True)
def late_parent(self: CeleryTask, gate: str, later: str) -> None:
    """Wait until a file exists, and begin a subtask that waits for another."""
    write_record(self.request.id, "start", sync=False)
    wait_for(gate)
    running: Any = current_task()
    running.subtask(wait_a_while, (later,))


@shared_task
def plain_returns_a_chain() -> Any:
    """Return a chained task from a task of Celery's."""
    return calc_a.delay(5).chain(add, (6,))


@task
def has_canvas(task: Any, gate: str) -> list[str]:
    """Begin each kind of canvas; return the ids of what ends last."""
    last = [
        task.subtask(chain(wait_a_while.si(gate, 1), add.s(2), add.s(3))),
        task.subtask(chord([add.s(1, 1), wait_a_while.si(gate, 4)], total.s())),
        *task.subtask(group(add.s(1, number) for number in range(2))),
    ]
    return [one.id for one in last]


@task
def returns_chord(task: Any, count: int) -> Any:
    """Have the result of a chord whose parts end in the transactions of their bodies."""
    return task.subtask(chord([calc_a.s(number) for number in range(count)], total.s()))


@task
def begins_chords(task: Any, count: int) -> list[str]:
    """Begin as many of those, and return the ids of their bodies."""
    header = [calc_a.s(1), calc_a.s(2)]
    return [task.subtask(chord(header, total.s())).id for _ in range(count)]


@task
def is_counted_late(task: Any, gate: str) -> int:
    """End in the body's transaction, and be counted by a chord when the file `gate` exists."""
    transaction.on_commit(partial(wait_for, gate))
    return 20


@task(atomic=False)
def outlasts_a_header(task: Any, gate: str) -> str:
    """Begin a chord, and return its body when all parts of the header have ended."""
    body: Any = task.subtask(chord([is_counted_late.s(gate)], total.s()))
    wait_until(lambda: task.subtasks.filter(state="SUCCESS").exists())
    return str(body.id)


class Late:
    """A value that is encoded when a task has ended, which waits for the file `gate`."""

    def __init__(self, task: Any, gate: str) -> None:
        self._task, self._gate = task, gate

    def __json__(self) -> str:
        Path(self._gate).touch()
        wait_until(lambda: self._task.status == "SUCCESS")
        return "late"


@task(atomic=False)
def ends_late(task: Any, gate: str) -> Late:
    """Begin a subtask that ends between the body and the end that is written."""
    return Late(task.subtask(wait_a_while, (gate,)), gate)


@task
def adds_a_sibling(task: Any) -> None:
    """Begin a subtask of the parent."""
    task.parent.subtask(send_email, "c@example.org")


@task
def has_siblings(task: Any) -> str:
    """Begin a subtask that begins another one."""
    task.subtask(adds_a_sibling)
    return "siblings"


@task
def waits_for_chained(task: Any, gate: str) -> str:
    """Begin a subtask with another one chained to it."""
    task.subtask(calc_a, 1).chain(wait_a_while.si(gate))
    return "chained"


@shared_task(bind=True)
def replaced(self: CeleryTask, gate: str) -> None:
    """Let a chain run in the task's place."""
    raise self.replace(chain(wait_a_while.si(gate, 1), add.s(2)))


@task
def has_replaced(task: Any, gate: str) -> str:
    """Begin a subtask that is replaced."""
    return str(task.subtask(replaced, gate).id)


@shared_task
def ignored(gate: str) -> None:
    """Wait until the file `gate` exists, and end without an outcome."""
    wait_for(gate)
    raise Ignore


@task
def keep(task: Any, *values: Any) -> list[Any]:
    """Return the arguments."""
    return list(values)


@task
def branch(task: Any, leaves: int) -> int:
    """Begin leaves."""
    for number in range(leaves):
        task.subtask(leaf, (number,))
    return leaves


@task
def root(task: Any, branches: int, leaves: int) -> str:
    """Begin branches with leaves."""
    for _ in range(branches):
        task.subtask(branch, (leaves,))
    return f"{branches} x {leaves}"


@task
def leaf(task: Any, number: int) -> int:
    """Record that it has run."""
    write_record(task.id, "run", sync=False)
    return number


LATE = {"atomic": False, "acks_late": True, "reject_on_worker_lost": True}


@task(**LATE)
def late_leaf(task: Any, gate: str) -> None:
    """Wait until the file `gate` exists; a dead worker's runs again."""
    wait_for(gate)


@task(acks_late=True, reject_on_worker_lost=True)
def late_branch(task: Any, leaves: int, gate: str, queue: str) -> None:
    """Begin leaves in the transaction of the end."""
    for _ in range(leaves):
        task.subtask(late_leaf, (gate,), queue=queue)


@task(acks_late=True, reject_on_worker_lost=True)
def late_root(task: Any, branches: int, leaves: int, gate: str, queue: str) -> str:
    """Begin branches in the transaction of the end."""
    for _ in range(branches):
        task.subtask(late_branch, (leaves, gate, queue), queue=queue)
    return f"{branches} x {leaves}"
