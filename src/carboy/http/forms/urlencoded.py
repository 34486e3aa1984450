"""application/x-www-form-urlencoded: query strings and form bodies (WHATWG URL, section 5)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import carboy.http.urls  # noqa: F401 — it registers the error handler

# Octets that are not UTF-8 stay percent-encoded, so that nothing is lost.
_ERRORS = "werkzeug.url_quote"


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """The pairs of a query in order; a name without "=" has the value "".

    "+" is a space, percent-encoded octets are UTF-8; those that are not stay encoded.
    """
    try:
        text = query.decode()
    except UnicodeDecodeError:
        text = query.decode("utf-8", _ERRORS)
    return _pairs(text)


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """The pairs of a form's body. ValueError if it is not UTF-8, so it is not such a form."""
    return _pairs(body.decode())


def _pairs(text: str) -> list[tuple[str, str]]:
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
    form(octet): chr(octet) for octet in range(0x80) for form in ("{:02x}".format, "{:02X}".format)
}


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    # Mostly what is encoded is ASCII, and then no octets have to be put together.
    pieces = text.split("%")
    for index in range(1, len(pieces)):
        piece = pieces[index]
        char = _ASCII.get(piece[:2])
        if char is None:
            return _decoded_octets(text)
        pieces[index] = char + piece[2:]
    return "".join(pieces)


def _decoded_octets(text: str) -> str:
    octets = unquote_to_bytes(text)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("utf-8", _ERRORS)
