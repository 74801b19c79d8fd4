"""``manage.py cq_prune``: delete what ended long ago."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandParser

from cq_compat import states
from cq_compat.pruning import prune, prune_remains
from cq_compat.retention import Rule, rules

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def age(text: str) -> float:
    """Read seconds, or a number with one of the units s, m, h, d and w."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no age; write seconds, or 90m, 12h, 30d, 4w.")
    return float(found[1]) * _UNITS[found[2]]


class Command(BaseCommand):
    """Deletes finished tasks, a thousand at a time."""

    help = (
        "Deletes finished tasks with their results: by CQ['RETENTION'], the tasks' option "
        "retention and Celery's result_expires, or all that are older than --older-than."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what is to be deleted."""
        parser.add_argument(
            "--older-than", type=age, metavar="AGE", help="in place of the settings: 3600, 12h, 30d"
        )
        parser.add_argument(
            "--state",
            choices=sorted(states.FINISHED),
            help="only tasks that have ended so",
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and delete nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, and say how much."""
        older_than, state, dry_run = options["older_than"], options["state"], options["dry_run"]
        found = prune(_rules(older_than, state), dry_run=dry_run)
        remains = older_than if older_than is not None else current_app.backend.expires
        if not (dry_run or state) and remains:
            prune_remains(remains)
        self.stdout.write(f"{found} tasks {'would be' if dry_run else 'are'} deleted.")


def _rules(older_than: float | None, state: str | None) -> list[Rule]:
    if older_than is not None:
        return [Rule(older_than, state or ""), Rule(None)]
    found = rules(current_app, current_app.backend.expires or None)
    if state is None:
        return found
    # A rule for every state decides about this one, too; one for another state does not.
    return [
        *(rule._replace(state=state) for rule in found if rule.state in ("", state)),
        Rule(None),
    ]
