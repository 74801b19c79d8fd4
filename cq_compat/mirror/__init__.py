"""The only writer of a task's row.

Each verb is one transition of ``cq_compat.states``: one statement with its guard, whose row count
is the answer. All times are the database's clock.
"""

from cq_compat.mirror.claims import Claim
from cq_compat.mirror.keeping import Due, KeepingMirror, Orphan, Route, Wait
from cq_compat.mirror.outcomes import Outcome
from cq_compat.mirror.publishing import PublishingMirror
from cq_compat.mirror.working import WorkingMirror

__all__ = [
    "Claim",
    "Due",
    "KeepingMirror",
    "Orphan",
    "Outcome",
    "PublishingMirror",
    "Route",
    "Wait",
    "WorkingMirror",
]
