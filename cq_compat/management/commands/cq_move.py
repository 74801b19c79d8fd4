"""``manage.py cq_move``: take the tasks that wait along to another broker."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandError, CommandParser
from kombu.exceptions import OperationalError

from cq_compat.moving import move
from cq_transport.options import SCHEME


class Command(BaseCommand):
    """Publishes tasks that wait to another broker."""

    help = (
        "Publishes every task that no worker has to another broker, those for later too, which "
        "wait in the table alone. Their rows are then kept from Celery's signals."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where to, and what."""
        parser.add_argument("url", help="such as redis://localhost:6379/0")
        parser.add_argument("--queue", default="")
        parser.add_argument("--dry-run", action="store_true", help="count, and move nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Move them, and say how many."""
        url, dry_run = options["url"], options["dry_run"]
        if url.startswith(f"{SCHEME}:"):
            raise CommandError(
                "Tasks of a channel layer move with its alias: give that the other layer in "
                "CHANNEL_LAYERS, and run cq_recover."
            )
        try:
            found = move(current_app, url, options["queue"], dry_run=dry_run)
        except OperationalError as exc:
            raise CommandError(f"The broker is away, and what is not moved stays: {exc}") from exc
        self.stdout.write(f"{found} tasks {'would be' if dry_run else 'are'} moved.")
