"""Fields that belong to the content, and those that belong to one connection."""

from __future__ import annotations

from collections.abc import Iterable

from carboy.http.headers import Headers

# RFC 2616, section 7.1; a 304 leaves them out.
ENTITY_HEADERS = frozenset(
    {
        "allow",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "expires",
        "last-modified",
    }
)
# RFC 2616, section 13.5.1; PEP 3333 keeps them for the server.
HOP_BY_HOP_HEADERS = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def is_entity_header(header: str) -> bool:
    """Whether the field describes the content."""
    return header.lower() in ENTITY_HEADERS


def is_hop_by_hop_header(header: str) -> bool:
    """Whether the field is about one connection only."""
    return header.lower() in HOP_BY_HOP_HEADERS


def _keep(headers: Headers | list[tuple[str, str]], fields: list[tuple[str, str]]) -> None:
    target = headers._list if isinstance(headers, Headers) else headers
    target[:] = fields


def remove_entity_headers(
    headers: Headers | list[tuple[str, str]],
    allowed: Iterable[str] = ("expires", "content-location"),
) -> None:
    """Remove what describes the content, in place, but for the names `allowed`."""
    kept = {name.lower() for name in allowed}
    _keep(headers, [f for f in headers if not is_entity_header(f[0]) or f[0].lower() in kept])


def remove_hop_by_hop_headers(headers: Headers | list[tuple[str, str]]) -> None:
    """Remove what is about one connection, in place."""
    _keep(headers, [field for field in headers if not is_hop_by_hop_header(field[0])])
