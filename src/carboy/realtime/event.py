"""One server-sent event, and its bytes in a text/event-stream (WHATWG HTML, section 9.2).

This file does not know where events come from or how they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEEP_ALIVE = b":\n\n"  # a comment, which clients ignore

# A client takes each of these as the end of a line. str.splitlines() knows more line ends.
_line_end = re.compile("\r\n|\r|\n").split
_has_line_end = re.compile("[\r\n]").search
_not_in_id = re.compile("[\0\r\n]").search  # a client ignores an id with NUL

Dumps = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event.

    `data` is text, bytes in UTF-8, or a value for JSON; None is an event that only sets `id` or
    `retry`. `event` is its type, "message" if it is None. `id` is what the client sends as
    Last-Event-ID after it has connected again. `retry` is the time in milliseconds that the client
    waits before that.

    Raises ValueError for a type or id with a line end, an id with NUL, and a negative time.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        if self.event is not None and _has_line_end(self.event):
            raise ValueError(f"The type of an event is one line, not {self.event!r}.")
        if self.id is not None and _not_in_id(self.id):
            raise ValueError(f"The id of an event has neither line ends nor NUL: {self.id!r}.")
        retry = self.retry
        if retry is not None and (type(retry) is not int or retry < 0):
            raise ValueError(f"The value of retry is a number of milliseconds, not {retry!r}.")


def encode(value: Any, dumps: Dumps) -> bytes:
    """The bytes of an event; `value` is an Event or its data. `dumps` makes JSON.

    Raises ValueError for data that is not UTF-8.
    """
    if not isinstance(value, Event):
        value = Event(value)
    lines = []
    if value.id is not None:
        lines.append(f"id: {value.id}")
    if value.event is not None:
        lines.append(f"event: {value.event}")
    if value.retry is not None:
        lines.append(f"retry: {value.retry}")
    if value.data is not None:
        lines += [f"data: {line}" for line in _line_end(_text(value.data, dumps))]
    return "\n".join([*lines, "", ""]).encode() if lines else b""


def comment(text: str) -> bytes:
    """The bytes of a comment, which clients ignore."""
    return "\n".join([*(f": {line}" for line in _line_end(text)), "", ""]).encode()


def _text(data: Any, dumps: Dumps) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, bytes | bytearray | memoryview):
        try:
            return bytes(data).decode()
        except UnicodeDecodeError:
            raise ValueError(
                "The data of an event is not UTF-8. Encode binary data as text, for example as"
                " base64."
            ) from None
    return dumps(data)
