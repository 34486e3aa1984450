"""The facts of a request, read from an exchange of the direct lane: no environ is built.

What comes out is what `carboy.http.request.environ` finds in the environ of the same exchange.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from carboy.http.containers.immutable import ImmutableHeadersMixin
from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.fields.headers import Headers
from carboy.http.wsgi import LimitedStream

if TYPE_CHECKING:
    from carboy.gateway.interface import Exchange


NO_LIMIT = 1 << 62


class WireHeaders(ImmutableHeadersMixin, Headers):
    """The read-only fields of a request that came over the wire."""


def method(exchange: Exchange) -> str:
    return exchange.head.method.upper()


def scheme(exchange: Exchange) -> str:
    return exchange.scheme


def server(exchange: Exchange) -> tuple[str, int | None] | None:
    # A unix socket has neither name nor port; an environ has to have both.
    return exchange.server if exchange.server[1] is not None else ("localhost", 80)


def root_path(exchange: Exchange) -> str:
    return ""


def path(exchange: Exchange) -> str:
    text = exchange.head.path
    if "%" in text:
        text = unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace")
    elif not text.isascii():
        text = text.encode("latin-1").decode("utf-8", "replace")
    return text if text[:2] != "//" and text[:1] == "/" else "/" + text.lstrip("/")


def query_string(exchange: Exchange) -> bytes:
    return exchange.head.query.encode("latin-1")


def remote_addr(exchange: Exchange) -> str | None:
    return exchange.peer[0] if exchange.peer else ""


# Names as an application sees them, by the name on the wire; "" for one it does not see. The
# client chooses names, so the number kept is bounded.
_TITLES: dict[str, str] = {}
MAX_TITLES = 1024


def _title(name: str) -> str:
    """`user-agent` as `User-Agent`. A name with "_" would pass for the one with "-": gone."""
    title = "" if "_" in name else name.title()
    if len(_TITLES) < MAX_TITLES:
        _TITLES[name] = title
    return title


def headers(exchange: Exchange) -> Headers:
    """Repeated fields are joined with "," and Cookie with "; " (RFC 9110, 5.3; RFC 6265)."""
    head = exchange.head
    if head.chunked:  # their length stands in no field line
        return WireHeaders._from_checked(_all_fields(exchange))
    found = _found_in(exchange)
    pairs = found.get(ALL)
    if pairs is None:
        pairs = found[ALL] = _all_fields(exchange)
    return WireHeaders._from_checked(pairs.copy())


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
    """What the wire has found out counts more than the field that said it."""
    head = exchange.head
    if head.host:
        fields["Host"] = head.host
    if head.chunked and exchange.body is not None and exchange.body_size is not None:
        # Received and counted: applications that know no chunks find a body with a length.
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
    # Still on its way: what goes wrong with it is the client's fault, not the application's.
    if size is not None:
        return LimitedStream(body, size)  # type: ignore[return-value]
    return LimitedStream(body, NO_LIMIT if limit is None else limit, is_max=True)  # type: ignore[return-value]


def raw_stream(exchange: Exchange) -> IO[bytes]:
    return exchange.body if exchange.body is not None else io.BytesIO()


def host_header(exchange: Exchange) -> str | None:
    return exchange.head.host or None


def content_length(exchange: Exchange) -> int | None:
    # None for a chunked body, received or not, as of an environ that has Transfer-Encoding.
    head = exchange.head
    return None if head.chunked else head.content_length


# A client sends the same field lines with every request of a connection, and the heads then
# share what was found in them: it is found again at once, and forgotten with the connection.
ALL = ""


def _found_in(exchange: Exchange) -> dict[str, Any]:
    """Fields by name, as far as they were asked for; under ALL all of them."""
    head = exchange.head
    if head.found is None:
        head.found = {}
    return head.found


def field(exchange: Exchange, name: str) -> str | None:
    """One field by its name, found in the head as it stands: nothing is split.

    What most requests are asked for is a cookie or a content type; the other dozen fields
    need not become text for that.
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
        # The name of a field stands at the beginning of a line.
        if at == 0 or lowered[at - 1] == 10:
            end = block.index(b"\r\n", at)
            found.append(block[at + len(wanted) : end].strip(b" \t").decode("latin-1"))
        at = lowered.find(wanted, at + 1)
    if not found:
        return None
    return ("; " if name == b"cookie" else ",").join(found)
