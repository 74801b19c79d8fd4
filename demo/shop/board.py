"""The shop's part of the page."""

from typing import Any

from django_celery_beat.models import PeriodicTask

from demo.shop.mails import latest_mails
from demo.shop.models import Item, Order, Picture, Report
from demo.shop.parcels import parcel_counts

MAILS = 6
PICTURES = 12


def shop_board() -> dict[str, Any]:
    """Return what the shop has to show: counts, mails, pictures, the last report, schedules."""
    return {
        "orders": Order.objects.count(),
        "parcels": parcel_counts(),
        "mails": latest_mails(MAILS),
        "pictures": [_picture(picture) for picture in Picture.objects.order_by("-pk")[:PICTURES]],
        "report": [_report(report) for report in Report.objects.order_by("-pk")[:1]],
        "schedules": [_schedule(entry) for entry in PeriodicTask.objects.order_by("name")],
    }


def _picture(picture: Picture) -> dict[str, Any]:
    name = picture.thumbnail.name
    return {"id": picture.pk, "title": picture.title, "url": f"media/{name}" if name else None}


def _report(report: Report) -> dict[str, Any]:
    return {
        "id": report.pk,
        "at": report.made_at.timestamp(),
        "lines": [
            {"item": Item(item).label, "orders": orders, "cents": cents}
            for item, orders, cents in report.lines
        ],
    }


def _schedule(entry: PeriodicTask) -> dict[str, Any]:
    return {
        "name": entry.name,
        "enabled": entry.enabled,
        "runs": entry.total_run_count,
        "at": entry.last_run_at.timestamp() if entry.last_run_at else None,
    }
