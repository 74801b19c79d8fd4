"""Pages over HTTP, and what happens behind them over a websocket."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

from demo.live.consumer import BoardConsumer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(
            URLRouter([path("live/", BoardConsumer.as_asgi())])
        ),
    }
)
