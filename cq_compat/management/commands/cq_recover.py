"""``manage.py cq_recover``: fill a layer again that has lost its messages."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cq_compat.models import Worker
from cq_compat.recovery import recover


class Command(BaseCommand):
    """Has the messages of waiting tasks sent again."""

    help = (
        "Has every message sent again that was sent and that no worker has, after a layer was lost "
        "or replaced. Workers notice such a loss by themselves in most cases; more than one copy "
        "of a message does no harm."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what is to be sent again."""
        parser.add_argument("--broker", default="", help="such as channels://default")
        parser.add_argument("--queue", default="")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Mark them, and say how many."""
        dry_run = options["dry_run"]
        found = recover(options["broker"], options["queue"], dry_run=dry_run)
        self.stdout.write(f"{found} tasks {'would be' if dry_run else 'will be'} sent again.")
        if found and not dry_run and not Worker.objects.alive().exists():
            self.stdout.write("No worker is alive; the first one that starts sends them.")
