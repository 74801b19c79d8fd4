"""Bodies that no worker runs."""

from __future__ import annotations

from kombu.utils.uuid import uuid

from cq_compat.native.logs import Logging
from cq_compat.native.progress import Progressing


class InPlaceTask(Logging, Progressing):
    """A task without a row, which says in memory what it says; that of a ``@shared_task`` whose
    function was called.
    """

    def __init__(self, name: str, task_id: str = "") -> None:
        self.id = self.pk = task_id or uuid()
        self.name = name

    def __str__(self) -> str:
        return f"{self.name}[{self.id}]"
