"""A message as engines carry it: a line of JSON with what describes the data, then the data."""

from __future__ import annotations

import json
from typing import Any

from carboy.realtime.engine import Message

__all__ = ["decode", "encode"]


def encode(message: Message) -> bytes:
    """The bytes of a message, without its channel and order."""
    fields: dict[str, Any] = {}
    if message.event is not None:
        fields["e"] = message.event
    if message.id:
        fields["i"] = message.id
    data = message.data
    if isinstance(data, bytes):
        fields["b"] = 1
    else:
        data = data.encode()
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n" + data


def decode(channel: str, order: int, position: str, payload: bytes) -> Message:
    """The message of these bytes. Its id is `position` unless the publisher has given one."""
    head, _, data = payload.partition(b"\n")
    fields = json.loads(head)
    return Message(
        channel,
        data if fields.get("b") else data.decode(),
        fields.get("e"),
        fields.get("i", position),
        order,
    )
