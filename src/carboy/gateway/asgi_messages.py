"""Values in the messages of ASGI, checked and in the form of an Answer."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

STATUSES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def decoded(headers: Iterable[Any]) -> list[tuple[str, str]]:
    """Header fields of a message as text."""
    fields = list(headers)
    try:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
    except AttributeError:
        pass  # not of the type bytes
    try:
        return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in fields]  # fmt: skip
    except TypeError:
        raise TypeError(f"Header names and values of ASGI are bytes, not {fields!r}.") from None


def as_bytes(body: Any) -> bytes:
    """A body that is not of the type bytes. Raises TypeError for text."""
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    raise TypeError(f"The body of a message is bytes, not {type(body).__name__}. Encode it.")
