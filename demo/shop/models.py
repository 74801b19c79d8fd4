"""Orders, parcels, pictures and reports."""

import uuid
from pathlib import PurePath
from typing import Any

from django.db import models


class Item(models.TextChoices):
    """What the shop sells."""

    TEA = "tea", "Tea"
    BREAD = "bread", "Bread"
    HONEY = "honey", "Honey"
    APPLES = "apples", "Apples"


PRICES = {Item.TEA: 450, Item.BREAD: 380, Item.HONEY: 720, Item.APPLES: 290}  # cents


class Order(models.Model):
    """One item for one customer, who gets a mail about it."""

    name = models.CharField(max_length=60)
    email = models.EmailField()
    item = models.CharField(max_length=10, choices=Item.choices, default=Item.TEA)
    placed_at = models.DateTimeField(auto_now_add=True)
    mailed_at = models.DateTimeField(null=True, editable=False)

    @property
    def price(self) -> int:
        """The price in cents."""
        return PRICES[Item(self.item)]


class Parcel(models.Model):
    """What one task is to pack: the shop's own count, which knows nothing of Celery."""

    task_id = models.CharField(max_length=36, unique=True)
    packed = models.PositiveSmallIntegerField(default=0)


def original_path(picture: "Picture", filename: str) -> str:
    """Return where an upload is kept: never under the name that the visitor chose."""
    return f"originals/{uuid.uuid4().hex}{PurePath(filename).suffix.lower()}"


class Picture(models.Model):
    """A picture and, once a worker has made it, its thumbnail."""

    title = models.CharField(max_length=80)
    original = models.ImageField(upload_to=original_path)
    thumbnail = models.ImageField(upload_to="thumbnails/", blank=True, editable=False)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the picture with its files."""
        self.original.delete(save=False)
        self.thumbnail.delete(save=False)
        return super().delete(*args, **kwargs)


class Report(models.Model):
    """What was sold up to a moment; `lines` holds (item, orders, cents) for each item."""

    made_at = models.DateTimeField(auto_now_add=True)
    lines = models.JSONField()
