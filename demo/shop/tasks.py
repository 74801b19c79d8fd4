"""The shop's work behind the scenes."""

import logging
import random
import time

from celery import Task, shared_task
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from cq_compat import task
from cq_compat.models import Task as CqTask
from demo.shop import mails, pictures
from demo.shop.models import Item, Order, Parcel, Picture, Report

CUSTOMERS = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald")
KEPT = 500  # orders, pictures and reports that survive the night
PAGES, PAGE_SECONDS = 20, 0.1  # of the books, for each item
SHELVES, SHELF_SECONDS = 20, 0.5


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


@task
def build_report(task: CqTask) -> CqTask:
    """Have everything summed up, then the report written; its key is this task's result, too."""
    task.log("The books are opened")
    return task.subtask(sum_up_all).chain(write_report)


@task
def sum_up_all(task: CqTask) -> None:
    """Sum up every item in a subtask of its own; this one has ended when all have."""
    for item in Item.values:
        task.subtask(sum_up, item)


@task(atomic=False)  # it writes nothing, and SQLite shows no progress of transactions
def sum_up(task: CqTask, item: str) -> tuple[str, int, int]:
    """Return the item, its orders and what they brought in cents, page by page."""
    orders = list(Order.objects.filter(item=item))
    for _ in task.track(range(PAGES), message=f"adding {item}"):
        time.sleep(PAGE_SECONDS)
    task.log(f"{len(orders)} orders of {item}")
    return item, len(orders), sum(order.price for order in orders)


@task
def write_report(task: CqTask, _: None) -> int:
    """Keep the report and return its key; what was summed up are the results of the subtasks."""
    lines = sorted(one.result for one in task.previous.subtasks)
    report = Report.objects.create(lines=lines)
    task.log(f"Report {report.pk} is written", logging.WARNING)
    return int(report.pk)


@shared_task
def pack_parcel(parcel_id: int) -> None:
    """Pack a parcel, and count how often that was done."""
    Parcel.objects.filter(pk=parcel_id).update(packed=F("packed") + 1)


@shared_task(bind=True)
def count_stock(self: Task) -> str:
    """Count the shelves, slowly, and tell how far it has come."""
    for shelf in range(SHELVES):
        self.update_state(state="PROGRESS", meta={"current": shelf, "total": SHELVES})
        time.sleep(SHELF_SECONDS)
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
