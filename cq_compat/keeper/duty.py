"""What a keeper does again and again."""

from __future__ import annotations

from typing import Protocol

from cq_compat.database import OwnConnection
from cq_compat.mirror import KeepingMirror
from cq_transport.layers.base import TaskLayer


class Duty(Protocol):
    """A bounded piece of work that is due every ``interval`` seconds."""

    @property
    def interval(self) -> float:
        """Seconds between two runs; asked anew for each."""

    def run_once(self) -> bool:
        """Do it; tell whether there is more of it at once."""


class LayerDuty:
    """What the duties towards one broker's layer have in common."""

    def __init__(self, broker: str, layer: TaskLayer, connection: OwnConnection) -> None:
        self.broker = broker
        self.layer = layer
        self.connection = connection

    @property
    def mirror(self) -> KeepingMirror:
        """The verbs of keepers."""
        return KeepingMirror(self.connection)
