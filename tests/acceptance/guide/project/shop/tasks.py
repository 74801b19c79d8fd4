"""What the shop does in the background."""

from celery import shared_task


@shared_task
def add(x, y):
    """Return the sum."""
    return x + y


@shared_task
def send_mail(order):
    """Send the mail about an order."""
    return f"mail about order {order}"


@shared_task
def make_thumbnail(picture):
    """Make a small picture of a big one."""
    return f"thumbnail of {picture}"


@shared_task
def sell(order, picture):
    """Sell something, which needs a mail and a thumbnail."""
    send_mail.delay(order)
    make_thumbnail.delay(picture)
