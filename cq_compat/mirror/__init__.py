"""The only writer of a task's row.

Each verb is one transition of ``cq_compat.states``: one statement with its guard, whose row count
is the answer. All times are the database's clock.
"""

from cq_compat.mirror.claims import Claim
from cq_compat.mirror.families import FamilyMirror, Held, Parent, Previous
from cq_compat.mirror.keeping import Due, KeepingMirror, Orphan, Route, Wait
from cq_compat.mirror.outcomes import NO_TERMS, End, Outcome, Terms
from cq_compat.mirror.publishing import PublishingMirror
from cq_compat.mirror.working import WorkingMirror

__all__ = [
    "NO_TERMS",
    "Claim",
    "Due",
    "End",
    "FamilyMirror",
    "Held",
    "KeepingMirror",
    "Orphan",
    "Outcome",
    "Parent",
    "Previous",
    "PublishingMirror",
    "Route",
    "Terms",
    "Wait",
    "WorkingMirror",
]
