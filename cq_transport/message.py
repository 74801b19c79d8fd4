"""A message in the hands of a consumer."""

from __future__ import annotations

from typing import Any

from kombu.message import Message as KombuMessage

from cq_transport.envelope import REDELIVERED, Envelope
from cq_transport.layers.base import Delivery


class Message(KombuMessage):
    """A kombu message that knows where it came from.

    Args:
        envelope: the decoded layer message.
        delivery: how to put it back.
        channel: the kombu channel.
        delivery_tag: by which the channel knows it until it is acknowledged.
    """

    def __init__(
        self, envelope: Envelope, delivery: Delivery, channel: Any, delivery_tag: int
    ) -> None:
        properties = envelope["properties"]
        delivery_info = dict(properties.get("delivery_info") or {})
        if envelope.get(REDELIVERED):
            delivery_info["redelivered"] = True
        super().__init__(  # type: ignore[no-untyped-call]
            body=envelope["body"],
            channel=channel,
            delivery_tag=delivery_tag,
            content_type=envelope.get("content-type"),
            content_encoding=envelope.get("content-encoding"),
            delivery_info=delivery_info,
            properties=properties,
            headers=envelope["headers"],
            postencode="utf-8",
        )
        self.envelope = envelope
        self.delivery = delivery
