"""The page and its buttons."""

from collections.abc import Callable
from functools import wraps

from celery import chain, group
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import OperationalError

from cq_compat.models import Task
from demo.shop import tasks
from demo.shop.forms import OrderForm, PictureForm
from demo.shop.models import Item
from demo.shop.parcels import PARCELS, publish_and_flush

RUSH = 50
SAMPLES = 6

View = Callable[[HttpRequest], HttpResponse]


def button(view: View) -> View:
    """Make a view that a button calls; without a broker it answers 503."""

    @require_POST
    @wraps(view)
    def pressed(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except OperationalError as error:
            return JsonResponse({"error": f"Tasks cannot be sent now: {error}"}, status=503)

    return pressed


@require_GET
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    """Show the only page; the rest comes over its websocket."""
    counts = {"rush": RUSH, "samples": SAMPLES, "parcels": PARCELS}
    return render(request, "page.html", {"items": Item.choices, **counts})


@button
def place_order(request: HttpRequest) -> HttpResponse:
    """Take an order; its mail is sent once the order is committed."""
    form = OrderForm(request.POST)
    if not form.is_valid():
        return _refusal(form)
    outages = form.cleaned_data["outages"] or 0
    with transaction.atomic():
        order = form.save()
        tasks.send_order_mail.delay(order.pk, outages)  # a part of the transaction
    return _thanks(f"Order {order.pk} is placed.")


@button
def rush(request: HttpRequest) -> HttpResponse:
    """Let many customers in at once."""
    group(tasks.serve_a_customer.s() for _ in range(RUSH)).delay()
    return _thanks(f"{RUSH} customers came in.")


@button
def flush_redis(request: HttpRequest) -> HttpResponse:
    """Lose everything that is in Redis, under load."""
    publish_and_flush()
    return _thanks(f"{PARCELS} tasks are published; Redis was emptied on the way.")


@button
def upload_picture(request: HttpRequest) -> HttpResponse:
    """Keep an uploaded picture and have its thumbnail made."""
    form = PictureForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refusal(form)
    with transaction.atomic():
        picture = form.save()
        tasks.make_thumbnail.delay(picture.pk)
    return _thanks("The picture is here.")


@button
def draw_samples(request: HttpRequest) -> HttpResponse:
    """Have some pictures painted, and a thumbnail made of each."""
    for number in range(1, SAMPLES + 1):
        chain(tasks.draw_picture.s(f"Sample {number}"), tasks.make_thumbnail.s()).delay()
    return _thanks(f"{SAMPLES} pictures are being painted.")


@button
def ask_report(request: HttpRequest) -> HttpResponse:
    """Have the report built now."""
    tasks.build_report.delay()
    return _thanks("The report is under way.")


@button
def count_stock(request: HttpRequest) -> HttpResponse:
    """Have the stock counted."""
    tasks.count_stock.delay()
    return _thanks("Counting has begun.")


@button
def stop_task(request: HttpRequest) -> HttpResponse:
    """Revoke a task, even in the middle of its work."""
    Task.objects.filter(pk=request.POST.get("task", "")).revoke(terminate=True)
    return _thanks("The task is told to stop.")


@button
def switch_schedule(request: HttpRequest) -> HttpResponse:
    """Turn a schedule on or off; beat notices within seconds."""
    entry = get_object_or_404(PeriodicTask, name=request.POST.get("schedule"))
    entry.enabled = not entry.enabled
    entry.save()
    return _thanks(f"{entry.name} is {'on' if entry.enabled else 'off'}.")


def _thanks(message: str) -> JsonResponse:
    return JsonResponse({"message": message})


def _refusal(form: BaseForm) -> JsonResponse:
    faults = [f"{field}: {fault}" for field, all_ in form.errors.items() for fault in all_]
    return JsonResponse({"error": " ".join(faults)}, status=400)
