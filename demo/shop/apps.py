"""The app's entry for INSTALLED_APPS."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """A corner shop."""

    name = "demo.shop"
