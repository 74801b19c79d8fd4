"""The mails that the shop sends, and the files that the mail backend makes of them."""

import email
import email.policy
import heapq
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from demo.shop.models import Order

DELIVERY_SECONDS = 0.15  # a mail server takes its time, too


def send_confirmation(order: Order) -> None:
    """Mail a customer what was ordered."""
    text = render_to_string("mail.txt", {"order": order, "euros": f"{order.price / 100:.2f}"})
    subject = f"Your order {order.pk}: {order.get_item_display()}"
    time.sleep(DELIVERY_SECONDS)
    EmailMessage(subject, text, to=[order.email]).send()


def latest_mails(count: int) -> list[dict[str, Any]]:
    """Return the newest mails: address, subject and text."""
    return [_read(path) for path in heapq.nlargest(count, _files(), key=_written)]


def forget_all_but(count: int) -> int:
    """Delete all but the newest mails and return how many."""
    old = sorted(_files(), key=_written, reverse=True)[count:]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _files() -> list[Path]:
    return list(Path(settings.EMAIL_FILE_PATH).glob("*.log"))


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _read(path: Path) -> dict[str, Any]:
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    text = mail.get_content() if mail.get_content_type() == "text/plain" else ""
    return {
        "id": path.stem,
        "to": mail["to"],
        "subject": mail["subject"],
        "text": text.rstrip("-\n"),
    }
