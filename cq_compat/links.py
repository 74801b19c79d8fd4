"""What ties a task to others of its family, as the header of its message says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: The header in which a message carries its link.
LINK = "cq_link"
#: How the previous task must have ended for a chained one to run.
SUCCESS, END, FAILURE = "success", "end", "failure"


@dataclass(frozen=True, slots=True)
class Link:
    """A task's place in its family.

    Args:
        subtask_of: the task that is not complete before this one is.
        previous_id: the task whose end this one waits for.
        runs_after: how that must have ended.
        takes_result: whether the first of this one's arguments is to be that one's result.
    """

    subtask_of: str | None = None
    previous_id: str | None = None
    runs_after: str | None = None
    takes_result: bool = False

    @property
    def later(self) -> Link:
        """The place of a task that Celery publishes after another one of the same place."""
        return Link(subtask_of=self.subtask_of)

    def headers(self) -> dict[str, Any]:
        """Return the headers of its message."""
        return {LINK: asdict(self)} if self != NO_LINK else {}

    @classmethod
    def read(cls, headers: Any) -> Link:
        """Return the link of a message; an empty one if it has none."""
        found = headers.get(LINK)
        return cls(**found) if isinstance(found, dict) else NO_LINK


NO_LINK = Link()
