"""Attributes of a request that are read from an exchange of the direct lane, without an environ.

The values are those that `carboy.http.request.environ` reads from the exchange's environ.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.headers import Headers, RequestHeaders
from carboy.http.wsgi import LimitedStream
from carboy.late import parse

if TYPE_CHECKING:
    from carboy.gateway.interface import Exchange
    from carboy.trace_context import TraceContext


NO_LIMIT = 1 << 62


class WireHeaders(RequestHeaders):
    """The read-only header fields of a request from an exchange."""


def method(exchange: Exchange) -> str:
    return exchange.head.method.upper()


def scheme(exchange: Exchange) -> str:
    return exchange.scheme


def server(exchange: Exchange) -> tuple[str, int | None] | None:
    # A unix socket has neither a name nor a port, but an environ needs both.
    return exchange.server if exchange.server[1] is not None else ("localhost", 80)


def root_path(exchange: Exchange) -> str:
    return exchange.root_path


def path(exchange: Exchange) -> str:
    text = exchange.head.path
    if "%" in text:
        text = parse.unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace")
    elif not text.isascii():
        text = text.encode("latin-1").decode("utf-8", "replace")
    return text if text[:2] != "//" and text[:1] == "/" else "/" + text.lstrip("/")


def query_string(exchange: Exchange) -> bytes:
    return exchange.head.query.encode("latin-1")


def remote_addr(exchange: Exchange) -> str | None:
    return exchange.peer[0] if exchange.peer else ""


def proxy_protocol(exchange: Exchange) -> Any:
    return getattr(exchange, "proxied", None)


def request_id(exchange: Exchange) -> str:
    if hasattr(exchange, "id"):
        return str(exchange.id)
    from carboy.uuid7 import uuid7

    return uuid7()  # a test client has no id


def trace(exchange: Exchange) -> TraceContext:
    if hasattr(exchange, "trace"):
        return exchange.trace  # type: ignore[no-any-return]
    from carboy.trace_context import trace_of

    parents = field(exchange, "traceparent")
    return trace_of([] if parents is None else [parents], [field(exchange, "tracestate") or ""])


# Names as the application sees them, by the name in the request; "" for a hidden name. Clients
# choose the names, so their number is limited.
_TITLES: dict[str, str] = {}
MAX_TITLES = 1024


def _title(name: str) -> str:
    """`user-agent` as `User-Agent`. A name with "_" is hidden: it looks like one with "-"."""
    title = "" if "_" in name else name.title()
    if len(_TITLES) < MAX_TITLES:
        _TITLES[name] = title
    return title


def headers(exchange: Exchange) -> Headers:
    """Repeated fields are joined with ",", Cookie fields with "; " (RFC 9110, 5.3; RFC 6265)."""
    head = exchange.head
    if head.chunked:  # the length is not in the fields
        return WireHeaders._from_checked(_all_fields(exchange))
    found = _found_in(exchange)
    pairs = found.get(ALL)
    if pairs is None:
        pairs = found[ALL] = _all_fields(exchange)
    return WireHeaders._from_checked(pairs.copy())


def asks_for_websocket(exchange: Exchange) -> bool:
    """Whether an upgrade is one to WebSocket (RFC 6455, section 4.2.1)."""
    return bool(headers(exchange).get("Upgrade", "").lower() == "websocket")


def _all_fields(exchange: Exchange) -> list[tuple[str, str]]:
    fields: dict[str, str] = {}
    for name, value in exchange.head.fields():
        title = _TITLES.get(name)
        if title is None:
            title = _title(name)
        if title in fields:
            separator = "; " if title == "Cookie" else ","
            value = f"{fields[title]}{separator}{value}"
        fields[title] = value
    fields.pop("", None)
    _settle(exchange, fields)
    return list(fields.items())


def _settle(exchange: Exchange, fields: dict[str, str]) -> None:
    """Replace fields by what the HTTP parser has found out."""
    head = exchange.head
    if head.host:
        fields["Host"] = head.host
    if head.chunked and exchange.body is not None and exchange.body_size is not None:
        # The whole body was received. The application sees a body with a length.
        fields["Content-Length"] = str(exchange.body_size)
    for name in ("Content-Type", "Content-Length"):
        if not fields.get(name, "-"):
            del fields[name]


def stream(exchange: Exchange, limit: int | None) -> IO[bytes]:
    """The body, RequestEntityTooLarge if it is larger than `limit`."""
    body = exchange.body
    if body is None:
        return io.BytesIO()
    size = exchange.body_size
    if limit is not None and size is not None and size > limit:
        raise RequestEntityTooLarge
    if body.seekable():
        return body
    # The body is still being received: errors while reading it are the client's.
    if size is not None:
        return LimitedStream(body, size)  # type: ignore[return-value]
    return LimitedStream(body, NO_LIMIT if limit is None else limit, is_max=True)  # type: ignore[return-value]


def raw_stream(exchange: Exchange) -> IO[bytes]:
    return exchange.body if exchange.body is not None else io.BytesIO()


def host_header(exchange: Exchange) -> str | None:
    return exchange.head.host or None


def content_length(exchange: Exchange) -> int | None:
    # None for a chunked body, as for an environ with Transfer-Encoding.
    head = exchange.head
    return None if head.chunked else head.content_length


# Clients send the same field lines with each request of a connection. The heads of such requests
# share the dict of parsed fields, which is dropped with the connection.
ALL = ""


def _found_in(exchange: Exchange) -> dict[str, Any]:
    """Fields that were read before, by name; all fields under ALL."""
    head = exchange.head
    if head.found is None:
        head.found = {}
    return head.found


def field(exchange: Exchange, name: str) -> str | None:
    """A field by its name, searched for in the bytes of the head.

    Most applications read a cookie or a content type only; the other fields need not be decoded.
    """
    found = _found_in(exchange)
    if name not in found:
        found[name] = _search(exchange.head.block, name.lower().encode("latin-1"))
    return found[name]  # type: ignore[no-any-return]


def _search(block: bytes, name: bytes) -> str | None:
    lowered = block.lower()
    wanted = name + b":"
    found: list[str] = []
    at = lowered.find(wanted)
    while at >= 0:
        # The name of a field is at the beginning of a line.
        if at == 0 or lowered[at - 1] == 10:
            end = block.index(b"\r\n", at)
            found.append(block[at + len(wanted) : end].strip(b" \t").decode("latin-1"))
        at = lowered.find(wanted, at + 1)
    if not found:
        return None
    return ("; " if name == b"cookie" else ",").join(found)
