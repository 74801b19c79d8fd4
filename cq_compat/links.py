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
        takes_result: whether this one's arguments begin with that one's result.
    """

    subtask_of: str | None = None
    previous_id: str | None = None
    runs_after: str | None = None
    takes_result: bool = True

    def headers(self) -> dict[str, Any]:
        """Return the headers of its message."""
        return {LINK: asdict(self)}

    @classmethod
    def read(cls, headers: Any) -> Link:
        """Return the link of a message; an empty one if it has none."""
        found = headers.get(LINK)
        return cls(**found) if isinstance(found, dict) else NO_LINK


NO_LINK = Link()
