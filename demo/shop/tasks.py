"""The shop's work behind the scenes."""

import random
import time

from celery import Task, chord, shared_task
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from demo.shop import mails, pictures
from demo.shop.models import Item, Order, Parcel, Picture, Report

CUSTOMERS = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald")
KEPT = 500  # orders, pictures and reports that survive the night
STOCK_SECONDS = 10


@shared_task(bind=True, autoretry_for=(OSError,), max_retries=5, default_retry_delay=2)
def send_order_mail(self: Task, order_id: int, outages: int = 0) -> str:
    """Mail the customer; the mail server is down for the first `outages` attempts."""
    order = Order.objects.get(pk=order_id)
    if order.mailed_at:
        return "mailed before"
    if self.request.retries < outages:
        raise ConnectionError("the mail server does not answer")
    mails.send_confirmation(order)
    Order.objects.filter(pk=order_id).update(mailed_at=timezone.now())
    return f"mail to {order.email}"


@shared_task
def serve_a_customer() -> int:
    """Place an order of somebody who just came in."""
    name = random.choice(CUSTOMERS)
    with transaction.atomic():
        order = Order.objects.create(
            name=name, email=f"{name.lower()}@example.com", item=random.choice(Item.values)
        )
        send_order_mail.delay(order.pk)  # sent once the order is committed
    return order.pk


@shared_task
def draw_picture(title: str) -> int:
    """Paint a sample picture and return its key."""
    return Picture.objects.create(title=title, original=pictures.draw(title)).pk


@shared_task
def make_thumbnail(picture_id: int) -> str:
    """Make the small version of a picture."""
    picture = Picture.objects.get(pk=picture_id)
    with picture.original.open() as original:
        thumbnail = pictures.shrink(original)
    picture.thumbnail.save(f"{picture.pk}.jpg", thumbnail)
    return f"{picture.thumbnail.width} × {picture.thumbnail.height}"


@shared_task
def build_report() -> str:
    """Sum up every item in a task of its own, and write the report when all have ended."""
    return str(chord([sum_up.s(item) for item in Item.values], write_report.s()).delay().id)


@shared_task
def sum_up(item: str) -> tuple[str, int, int]:
    """Return the item, its orders and what they brought in cents."""
    orders = list(Order.objects.filter(item=item))
    return item, len(orders), sum(order.price for order in orders)


@shared_task
def write_report(lines: list[tuple[str, int, int]]) -> int:
    """Keep the report and return its key."""
    return Report.objects.create(lines=lines).pk


@shared_task
def pack_parcel(parcel_id: int) -> None:
    """Pack a parcel, and count how often that was done."""
    Parcel.objects.filter(pk=parcel_id).update(packed=F("packed") + 1)


@shared_task(bind=True)
def count_stock(self: Task) -> str:
    """Count the shelves, slowly, and tell how far it has come."""
    for percent in range(0, 100, 5):
        self.update_state(state="PROGRESS", meta={"progress": percent})
        time.sleep(STOCK_SECONDS / 20)
    return "all there"


@shared_task
def tidy_up() -> int:
    """Forget what is old, and return how many things that were."""
    forgotten = mails.forget_all_but(KEPT)
    Parcel.objects.exclude(packed=0).delete()
    for model in (Order, Picture, Report):
        for row in model.objects.order_by("-pk")[KEPT:]:
            row.delete()
            forgotten += 1
    return forgotten
