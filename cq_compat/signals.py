"""What happens to tasks with rows, as Django signals: for counters and histograms.

Each is sent in the process in which it happens, after the commit. What a receiver raises is logged
under ``django.dispatch`` and breaks nothing; without receivers nothing is done.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from cq_transport.envelope import Envelope


class TaskSignal(Signal):
    """A signal whose sender is the model ``Task``."""

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self.receivers)

    def tell(self, **facts: Any) -> None:
        """Tell it to all who listen."""
        if self.is_heard:
            from cq_compat.models import Task

            self.send_robust(Task, **facts)


def facts_of(envelope: Envelope) -> dict[str, Any]:
    """Return what every signal says of a task, from its message."""
    headers, info = envelope["headers"], envelope["properties"].get("delivery_info") or {}
    return {
        "task_id": str(headers["id"]),
        "name": headers["task"],
        "queue": info.get("routing_key") or "",
    }


#: A task was published and has a row: ``task_id``, ``name``, ``queue``.
task_recorded = TaskSignal()
#: A committed task is left to the keepers: ``task_id``, ``name``, ``queue``, and as ``reason`` the
#: class of the layer's error, or ``"TooMany"`` that wait for the layer in this process.
task_kept = TaskSignal()
#: A worker has claimed a task: ``task_id``, ``name``, ``queue``.
task_claimed = TaskSignal()
#: A worker has dropped a copy of a message: ``task_id``, ``name``, ``queue``, and as ``reason``
#: what became of the task: ``"finished"``, ``"claimed"``, ``"superseded"`` by a later run,
#: ``"unknown"`` without a row, or ``"free"`` again by the time of the look.
copy_refused = TaskSignal()
#: A body was not begun, because its claim did not hold any more: ``task_id``, ``name``,
#: ``queue``.
start_refused = TaskSignal()
#: A task has logged: ``task_id``; ``lines`` with ``message``, ``level``, ``logger`` and ``number``.
task_logged = TaskSignal()
#: A task has said how far it is: ``task_id``, ``done``, ``total``, ``message``.
task_progressed = TaskSignal()
#: A task has ended: ``task_id``, ``name``, ``queue``, ``state``; the seconds that it ``waited``,
#: from its publication or its ETA to its last body, and that this ``ran``: ``None`` without a body.
task_finished = TaskSignal()
#: A keeper has sent a task's message: ``task_id``, ``name``, ``queue``, and as ``reason`` ``"due"``
#: for one with an ETA, else ``"unsent"``: its publisher did not, or the message was lost.
task_rung = TaskSignal()
#: A layer has lost messages: ``broker``, ``count``, ``reason``: ``"epoch"``, or of one ``queue``,
#: which else is ``None``: it is ``"empty"``, they were ``"overtaken"``, or are ``"old"``.
messages_lost = TaskSignal()
#: A dead worker's task is sent again or ended: ``task_id``, ``name``, ``queue``, ``worker``,
#: ``runs_again``.
task_reaped = TaskSignal()
