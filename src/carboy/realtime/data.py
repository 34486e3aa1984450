"""The data, event and id that a message may have."""

from __future__ import annotations

import json
import re
from typing import Any

_not_in_line = re.compile("[\0\r\n]").search


def as_data(value: Any, dumps: Any = None) -> str | bytes:
    """Text and bytes as they are; anything else as JSON. Raises TypeError.

    `dumps` makes JSON; by default the standard library's, without spaces.
    """
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    try:
        if dumps is not None:
            text: str = dumps(value)
            return text
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError) as problem:
        raise TypeError(
            f"The data of a message is text, bytes or a value for JSON, and this"
            f" {type(value).__name__} cannot be written as JSON: {problem}"
        ) from None


def check_line(value: str | None, name: str) -> str | None:
    """The event or id of a message, which is one line of text. Raises TypeError or ValueError."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"The {name} of a message is text, not {value!r}.")
    if _not_in_line(value):
        raise ValueError(f"The {name} of a message has neither line ends nor NUL: {value!r}.")
    return value
