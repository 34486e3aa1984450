"""Media types: which of them are text."""

from __future__ import annotations

# Media types that are text and not below text/ (their charset would otherwise be guessed).
_TEXT = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/sql",
        "application/xml",
        "application/xml-dtd",
        "application/xml-external-parsed-entity",
    }
)


def get_content_type(mimetype: str, charset: str) -> str:
    """The media type with `charset` as its parameter, if it is one of text."""
    if mimetype.startswith("text/") or mimetype in _TEXT or mimetype.endswith("+xml"):
        return f"{mimetype}; charset={charset}"
    return mimetype


def is_json(mimetype: str | None) -> bool:
    """Whether it is application/json or application/*+json."""
    return mimetype is not None and (
        mimetype == "application/json"
        or (mimetype.startswith("application/") and mimetype.endswith("+json"))
    )
