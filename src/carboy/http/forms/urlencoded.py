"""application/x-www-form-urlencoded: query strings and form bodies (WHATWG URL, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import carboy.http.urls  # noqa: F401 — it registers the error handler
from carboy.http.containers.multidict import iter_multi_items
from carboy.late import parse
from carboy.speedups import speedups

# Bytes that are not UTF-8 stay percent-encoded, so that no information is lost.
_ERRORS = "werkzeug.url_quote"

Pairs = list[tuple[str, str]]

# The compiled twin of `_pairs`, which returns None for what is not ASCII.
_ordinary_pairs: Callable[[bytes], Pairs | None] | None = None


def parse_query(query: bytes) -> Pairs:
    """The pairs of a query in order. A name without "=" has the value "".

    "+" is a space. Percent-encoded bytes are decoded as UTF-8; other bytes stay encoded.
    """
    if _ordinary_pairs is not None and (pairs := _ordinary_pairs(query)) is not None:
        return pairs
    try:
        text = query.decode()
    except UnicodeDecodeError:
        text = query.decode("utf-8", _ERRORS)
    return _pairs(text)


def parse_form(body: bytes) -> Pairs:
    """The pairs of a form's body. ValueError if the body is not UTF-8."""
    if _ordinary_pairs is not None and (pairs := _ordinary_pairs(body)) is not None:
        return pairs
    return _pairs(body.decode())


def _pairs(text: str) -> Pairs:
    if "+" in text:
        text = text.replace("+", " ")
    encoded = "%" in text
    pairs = []
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            if encoded and "%" in piece:
                name, value = _decoded(name), _decoded(value)
            pairs.append((name, value))
    return pairs


_ASCII = {
    form(byte): chr(byte) for byte in range(0x80) for form in ("{:02x}".format, "{:02X}".format)
}


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    # Most encoded characters are ASCII, which need no decoding as UTF-8.
    pieces = text.split("%")
    for index in range(1, len(pieces)):
        piece = pieces[index]
        char = _ASCII.get(piece[:2])
        if char is None:
            return _decoded_as_utf8(text)
        pieces[index] = char + piece[2:]
    return "".join(pieces)


def _decoded_as_utf8(text: str) -> str:
    data = parse.unquote_to_bytes(text)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", _ERRORS)


def encode_pairs(values: Any) -> str:
    """A mapping or pairs as a query or form body, without values of None, as browsers do."""
    items = [(name, value) for name, value in iter_multi_items(values) if value is not None]
    return parse.urlencode(items, safe="!$'()*,/:;?@")


def _choose(compiled: ModuleType | None) -> None:
    global _ordinary_pairs
    _ordinary_pairs = None if compiled is None else compiled.ordinary_pairs


speedups.twins("form", _choose)
