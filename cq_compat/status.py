"""What waits, what runs, and who looks after it, as plain data.

Only unfinished tasks are counted: an index has them, however many have ended.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q

from cq_compat.clock import Now
from cq_compat.models import Beat, Layer, Task, Worker

#: Seconds that a new task is left to its publisher; what is due later waits for its time.
SOON = 5
# Not for other tasks.
_WAITING = Q(owner__isnull=True, waiting_since__isnull=True, is_held=False)
_SCHEDULED = _WAITING & Q(sent_at__isnull=True, due_at__gt=Now() + timedelta(seconds=SOON))


def status() -> dict[str, list[dict[str, Any]]]:
    """Return the queues with their unfinished tasks, the workers, the brokers' layers, and the beat
    that leads; times are in seconds.
    """
    return {"queues": _queues(), "workers": _workers(), "layers": _layers(), "beats": _beats()}


def held_tasks() -> dict[UUID, int]:
    """Return how many unfinished tasks each worker holds, by the worker's id."""
    owned = Task.objects.live().filter(owner__isnull=False).order_by()
    return dict(owned.values_list("owner_id").annotate(Count("pk")))


def _queues() -> list[dict[str, Any]]:
    waiting = _WAITING & ~_SCHEDULED
    rows = (
        Task.objects.live()
        .order_by()
        .values("broker", "queue", "state")
        .annotate(
            tasks=Count("pk"),
            scheduled=Count("pk", filter=_SCHEDULED),
            waiting=Count("pk", filter=waiting),
            oldest=ExpressionWrapper(
                Now() - Min("created_at", filter=waiting), output_field=DurationField()
            ),
        )
    )
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(_empty_queue)
    for row in rows:
        queue = found[row["broker"], row["queue"]]
        queue["states"][row["state"]] = row["tasks"]
        queue["scheduled"] += row["scheduled"]
        queue["waiting"] += row["waiting"]
        ages = (queue["oldest_waiting"], _seconds(row["oldest"]))
        queue["oldest_waiting"] = max((age for age in ages if age is not None), default=None)
    return [
        {"broker": broker, "queue": name, **found[broker, name]} for broker, name in sorted(found)
    ]


def _empty_queue() -> dict[str, Any]:
    return {"states": {}, "waiting": 0, "scheduled": 0, "oldest_waiting": None}


def _workers() -> list[dict[str, Any]]:
    held = held_tasks()
    rows = Worker.objects.filter(stopped_at__isnull=True).annotate(left=_until("lease_until"))
    return [
        {
            "hostname": worker.hostname,
            "pid": worker.pid,
            "broker": worker.broker,
            "alive": worker.left > timedelta(),
            "lease": _seconds(worker.left),
            "tasks": held.get(worker.id, 0),
        }
        for worker in rows.order_by("hostname", "started_at")
    ]


def _layers() -> list[dict[str, Any]]:
    names = {worker.id: worker.hostname for worker in Worker.objects.all()}
    layers = Layer.objects.annotate(left=_until("leads_until")).order_by("broker")
    return [
        {
            "broker": layer.broker,
            "epoch": layer.epoch or None,
            "leader": names.get(layer.leader) if _is_positive(layer.left) else None,
            "leads_for": _seconds(layer.left) if _is_positive(layer.left) else None,
        }
        for layer in layers
    ]


def _beats() -> list[dict[str, Any]]:
    leading = Beat.objects.filter(leads_until__gt=Now()).annotate(left=_until("leads_until"))
    return [
        {"hostname": beat.hostname, "pid": beat.pid, "leads_for": _seconds(beat.left)}
        for beat in leading
    ]


def _until(column: str) -> Any:
    return ExpressionWrapper(F(column) - Now(), output_field=DurationField())


def _is_positive(left: timedelta | None) -> bool:
    return left is not None and left > timedelta()


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else round(value.total_seconds(), 1)
