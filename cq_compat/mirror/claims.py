"""The right to run a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a task: its row changes for the holder of the fence alone.

    Args:
        run: how many times the task was published anew: by a retry, a replacement or an operator.
        fence: how many times the task was claimed.
        owner: the id of the worker, as hexadecimal digits.
    """

    task_id: str
    run: int
    fence: int
    owner: str

    def header(self) -> dict[str, Any]:
        """Return the claim as the message's header carries it to the pool."""
        return {"run": self.run, "fence": self.fence, "owner": self.owner}

    @classmethod
    def read(cls, task_id: str, header: Any) -> Claim | None:
        """Return the claim in a header; ``None`` if the message was never claimed."""
        if not isinstance(header, dict) or "fence" not in header:
            return None
        return cls(task_id, header["run"], header["fence"], header["owner"])
