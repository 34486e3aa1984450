"""Content types: charsets of text, JSON, and the types that were checked before."""

from __future__ import annotations

from carboy.http.fields.headers import Headers

URLENCODED = "application/x-www-form-urlencoded"
WITHOUT_PARAMETERS = frozenset({URLENCODED, "application/json"})  # as clients send them
MULTIPART = "multipart/form-data"

# Media types of text outside text/. Without a charset, clients would guess it.
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
    """The media type, with `charset` as its parameter if it is a type of text."""
    if mimetype.startswith("text/") or mimetype in _TEXT or mimetype.endswith("+xml"):
        return f"{mimetype}; charset={charset}"
    return mimetype


def is_json(mimetype: str | None) -> bool:
    """Whether the media type is application/json or application/*+json."""
    return mimetype is not None and (
        mimetype == "application/json"
        or (mimetype.startswith("application/") and mimetype.endswith("+json"))
    )


# Content types by media type, and content types that passed the check. An application uses a few;
# the limit is for an application that generates them.
MAX_CONTENT_TYPES = 256
content_types: dict[str, str] = {}
sound_types: set[str] = set()


def checked(content_type: str) -> str:
    """The content type. ValueError if it contains a character that headers may not have."""
    if content_type not in sound_types:
        Headers().add("Content-Type", content_type)
        if len(sound_types) < MAX_CONTENT_TYPES:
            sound_types.add(content_type)
    return content_type


def with_charset(mimetype: str) -> str:
    """`get_content_type` for UTF-8, checked and stored in `content_types`."""
    content_type = checked(get_content_type(mimetype, "utf-8"))
    if len(content_types) < MAX_CONTENT_TYPES:
        content_types[mimetype] = content_type
    return content_type
