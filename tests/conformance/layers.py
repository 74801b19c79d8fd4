"""A channel layer that the transport does not recognise, shared by processes."""

from typing import Any

from channels_redis.core import RedisChannelLayer


class UnknownLayer(RedisChannelLayer):  # type: ignore[misc]
    """A layer that has calls of its own, whatever it does in them."""

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Do as usual."""
        await super().send(channel, message)

    async def receive(self, channel: str) -> Any:
        """Do as usual."""
        return await super().receive(channel)
