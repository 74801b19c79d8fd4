"""The envelope: whatever kombu puts into a message comes out of it again."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq_transport.envelope import MESSAGE_TYPE, pack, seal, unpack
from cq_transport.errors import UndecodableMessage
from tests.extent import extent

pytestmark = pytest.mark.unit

EXAMPLES = extent(25, 100)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.uuids()
)
headers = st.dictionaries(st.text(), st.recursive(scalars, lambda inner: st.lists(inner)))


def message(body: Any, headers: dict[Any, Any]) -> dict[str, Any]:
    return seal(
        {
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {"delivery_info": {"exchange": "", "routing_key": "q"}, "priority": 0},
        }
    )


def through(envelope: dict[str, Any], dumps: Any, loads: Any) -> dict[str, Any]:
    return unpack(loads(pack(envelope, dumps)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(), st.binary()), headers)
def test_msgpack_carries_everything(body: Any, headers: dict[str, Any]) -> None:
    found = through(message(body, headers), msgpack.packb, msgpack.unpackb)
    assert found["body"] == body
    assert found["headers"] == headers


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(), st.binary()), headers)
def test_json_carries_everything(body: Any, headers: dict[str, Any]) -> None:
    found = through(message(body, headers), json.dumps, json.loads)
    assert found["body"] == body
    assert found["headers"] == headers


@pytest.mark.parametrize(
    "value",
    [datetime(2020, 1, 2, tzinfo=timezone.utc), uuid.uuid4(), Decimal("1.50"), 2**100, -(2**70)],
)
def test_values_unknown_to_msgpack_keep_their_types(value: Any) -> None:
    found = through(message("x", {"value": value}), msgpack.packb, msgpack.unpackb)
    assert found["headers"] == {"value": value}


def test_integer_keys_become_text_as_in_json() -> None:
    found = through(message("x", {"deep": {1: "one"}}), msgpack.packb, msgpack.unpackb)
    assert found["headers"] == {"deep": {"1": "one"}}


def test_plain_messages_travel_as_they_are() -> None:
    packed = msgpack.unpackb(pack(message("x", {"id": "1"}), msgpack.packb))
    assert packed["type"] == MESSAGE_TYPE
    assert packed["headers"] == {"id": "1"}


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"type": "websocket.send"},
        None,
        7,
        "text",
        {"type": MESSAGE_TYPE},
        {"type": MESSAGE_TYPE, "headers": [], "properties": {}},
        {"type": MESSAGE_TYPE, "meta": "{not json"},
        {"type": MESSAGE_TYPE, "headers": {}, "properties": {}, "body64": True, "body": 5},
    ],
)
def test_foreign_messages_are_told_apart(foreign: Any) -> None:
    with pytest.raises(UndecodableMessage):
        unpack(foreign)
