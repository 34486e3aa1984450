"""application/x-www-form-urlencoded: query strings and form bodies (WHATWG URL, section 5)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import carboy.http.urls  # noqa: F401 — it registers the error handler

# Octets that are not UTF-8 stay percent-encoded, so that nothing is lost.
_ERRORS = "carboy.url_quote"


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """The pairs of a query in order; a name without "=" has the value "".

    "+" is a space, percent-encoded octets are UTF-8; those that are not stay encoded.
    """
    pairs = []
    try:
        text = query.decode()
    except UnicodeDecodeError:
        text = query.decode("utf-8", _ERRORS)
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    octets = unquote_to_bytes(text)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("utf-8", _ERRORS)
