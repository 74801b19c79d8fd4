"""``manage.py cq_status``: what waits, what runs, and who looks after it."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from cq_compat.status import status


class Command(BaseCommand):
    """Shows the state of the queues, of the workers, of the brokers' layers, and of beat."""

    help = "Shows unfinished tasks by queue and state, workers with leases, layers, and beat."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--json``."""
        parser.add_argument("--json", action="store_true", help="for programs; times in seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        found = status()
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        queues = [
            [
                *(found_["broker"], found_["queue"] or "-"),
                *(str(found_["waiting"]), _age(found_["oldest_waiting"]), str(found_["scheduled"])),
                ", ".join(f"{state} {n}" for state, n in sorted(found_["states"].items())),
            ]
            for found_ in found["queues"]
        ]
        self._table("QUEUE", "broker queue waiting oldest scheduled states", queues)
        workers = [
            [
                *(worker["hostname"], str(worker["pid"]), worker["broker"]),
                f"{worker['lease']:.0f} s" if worker["alive"] else "over",
                str(worker["tasks"]),
            ]
            for worker in found["workers"]
        ]
        self._table("WORKER", "hostname pid broker lease tasks", workers)
        layers = [
            [layer["broker"], layer["leader"] or "-", layer["epoch"] or "-"]
            for layer in found["layers"]
        ]
        self._table("LAYER", "broker leader epoch", layers)
        beats = [[beat["hostname"], str(beat["pid"])] for beat in found["beats"]]
        if beats:  # other schedulers than this app's are not known here
            self._table("BEAT", "hostname pid", beats)

    def _table(self, title: str, heads: str, rows: list[list[str]]) -> None:
        if not rows:
            self.stdout.write(self.style.MIGRATE_HEADING(f"No {title.lower()}s"))
            return
        table = [heads.split(), *rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        self.stdout.write(self.style.MIGRATE_HEADING(f"{title}S"))
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.stdout.write("  " + "  ".join(cells).rstrip())


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
