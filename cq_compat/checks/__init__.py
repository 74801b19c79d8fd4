"""System checks for what would lose tasks or keep them from running; each names the fix."""

from cq_compat.checks.beat import check_beat
from cq_compat.checks.broker import check_broker
from cq_compat.checks.database import check_database, check_tables
from cq_compat.checks.settings import check_settings

__all__ = ["check_beat", "check_broker", "check_database", "check_settings", "check_tables"]
