"""The websocket of an open page."""

import asyncio
from contextlib import suppress
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

GROUP = "board"
RENEWAL = 1.0  # seconds


class BoardConsumer(AsyncWebsocketConsumer):
    """Hands on every board that the camera sends to the group."""

    groups = (GROUP,)

    async def connect(self) -> None:
        """Open the page's connection, and keep it in the group."""
        await super().connect()
        self._membership = asyncio.create_task(self._stay_in_group())

    async def disconnect(self, code: int) -> None:
        """Leave the group for good."""
        self._membership.cancel()

    async def board_changed(self, event: dict[str, Any]) -> None:
        """Pass a board, a JSON text, to the browser."""
        await self.send(event["board"])

    async def _stay_in_group(self) -> None:
        # Groups are in Redis alone: one that is flushed forgets who is in them.
        while True:
            await asyncio.sleep(RENEWAL)
            with suppress(OSError, ConnectionError):
                await self.channel_layer.group_add(GROUP, self.channel_name)
