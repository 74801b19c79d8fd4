"""Many tasks at once, in the middle of which Redis loses everything; and what became of them."""

from typing import Any

from celery import uuid
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from redis import Redis

from cq_compat.models import Task
from demo.shop.models import Parcel
from demo.shop.tasks import pack_parcel

PARCELS = 500
TOGETHER = 50  # in one transaction


def publish_and_flush() -> None:
    """Publish all tasks, and empty Redis when half of them are published."""
    half = PARCELS // 2
    for begin in range(0, PARCELS, TOGETHER):
        if begin == half:
            flush()
        _publish(TOGETHER)


def flush() -> None:
    """Delete everything in our Redis, and what is the demo's in one that was given to us."""
    with Redis.from_url(settings.REDIS_URL) as redis:
        if settings.REDIS_IS_OURS:
            redis.flushall()
            return
        for layer in settings.CHANNEL_LAYERS.values():
            for key in redis.scan_iter(f"{layer['CONFIG']['prefix']}*", count=1000):
                redis.delete(key)


def parcel_counts() -> dict[str, int]:
    """Count the parcels by what their tasks have done.

    A parcel is lost if nobody has packed it, and its task is gone or has ended: what still has an
    unfinished row is under way. Both are read by one statement, at one moment.
    """
    is_packed, is_alive = (
        Q(packed__gt=0),
        Exists(Task.objects.live().filter(pk=OuterRef("task_id"))),
    )
    counts: dict[str, Any] = Parcel.objects.annotate(is_alive=is_alive).aggregate(
        published=Count("pk"),
        done=Count("pk", filter=is_packed),
        waiting=Count("pk", filter=~is_packed & Q(is_alive=True)),
        lost=Count("pk", filter=~is_packed & Q(is_alive=False)),
        twice=Count("pk", filter=Q(packed__gt=1)),
    )
    return counts


def _publish(count: int) -> None:
    with transaction.atomic():
        parcels = Parcel.objects.bulk_create(Parcel(task_id=uuid()) for _ in range(count))
        for parcel in parcels:
            pack_parcel.apply_async([parcel.pk], task_id=parcel.task_id)
