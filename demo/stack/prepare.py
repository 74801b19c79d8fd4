"""Makes the tables and the account for the admin; a program of its own, before all others."""

import os

import django
from django.core.management import call_command

USER = "admin"


def main() -> None:
    """Bring the database up to date; the account gets the password of this start."""
    django.setup()
    call_command("migrate", verbosity=0)
    _open_account(os.environ["CQ_DEMO_PASSWORD"])


def _open_account(password: str) -> None:
    from django.contrib.auth import get_user_model  # a model, for which Django must be set up

    user, _ = get_user_model().objects.get_or_create(username=USER)
    user.is_staff = user.is_superuser = True
    user.set_password(password)
    user.save()


if __name__ == "__main__":
    main()
