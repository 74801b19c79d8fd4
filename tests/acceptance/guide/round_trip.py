"""Sends one message through the project's broker and takes it back."""

import sys

import django


def main() -> int:
    """Return whether the message did not come back."""
    django.setup()
    from shop.celery import app  # the project's, of which the working directory is the root

    with app.connection_for_write() as connection, connection.SimpleQueue("round-trip") as queue:
        queue.put("here and back")
        message = queue.get(timeout=10)
        message.ack()
        return int(message.payload != "here and back")


if __name__ == "__main__":
    sys.exit(main())
