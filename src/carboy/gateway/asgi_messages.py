"""Values in the messages of ASGI, checked and in the form of an Answer."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

STATUSES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


# Fields that applications send again and again, as text. The server knows a field that it has sent
# by the same objects, so these are quicker to look up there as well.
KEPT = frozenset({b"cache-control", b"content-length", b"content-type", b"server", b"vary"})
MOST_KEPT = 512  # fields, because lengths differ
MOST_BYTES = 64  # of the value of such a field
_kept: dict[tuple[bytes, bytes], tuple[str, str]] = {}


def decoded(headers: Iterable[Any]) -> list[tuple[str, str]]:
    """Header fields of a message as text."""
    fields = list(headers)
    try:
        return [_kept.get(field) or _decoded(field) for field in fields]
    except (AttributeError, TypeError):
        pass  # not of the type bytes, or not a tuple
    try:
        return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in fields]  # fmt: skip
    except TypeError:
        raise TypeError(f"Header names and values of ASGI are bytes, not {fields!r}.") from None


def _decoded(field: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = field
    made = name.decode("latin-1"), value.decode("latin-1")
    if name in KEPT and len(value) <= MOST_BYTES:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[field] = made
    return made


def as_bytes(body: Any) -> bytes:
    """A body that is not of the type bytes. Raises TypeError for text."""
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    raise TypeError(f"The body of a message is bytes, not {type(body).__name__}. Encode it.")
