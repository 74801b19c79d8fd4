"""The camera of `celery events`: twice a second, a picture of everything for the open pages."""

import json
from typing import Any

import django
from asgiref.sync import async_to_sync
from celery.events.snapshot import Polaroid
from celery.events.state import State
from channels.layers import get_channel_layer
from django.db import close_old_connections

from demo.live.consumer import GROUP
from demo.live.families import family_of_youngest
from demo.live.queues import queue_lengths
from demo.live.tasks import recent_tasks, running_workers

REPORT = "demo.shop.tasks.build_report"


class Camera(Polaroid):
    """Sends what rows and events tell of Celery, with the shop's own, to the group."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        django.setup()  # unlike a worker, `celery events` leaves that to the camera

    def on_shutter(self, state: State) -> None:
        """Send one board."""
        from demo.shop.board import shop_board  # has models, which Django must have loaded

        close_old_connections()
        board = {
            "tasks": recent_tasks(),
            "workers": running_workers(state),
            "queues": queue_lengths(self.app),
            **family_of_youngest(REPORT),
            **shop_board(),
        }
        send = async_to_sync(get_channel_layer().group_send)
        send(GROUP, {"type": "board.changed", "board": json.dumps(board)})
