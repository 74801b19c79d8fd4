"""The websocket of an open page."""

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

GROUP = "board"


class BoardConsumer(AsyncWebsocketConsumer):
    """Hands on every board that the camera sends to the group."""

    groups = (GROUP,)

    async def board_changed(self, event: dict[str, Any]) -> None:
        """Pass a board, a JSON text, to the browser."""
        await self.send(event["board"])
