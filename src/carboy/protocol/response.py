"""Encodes the application's status and headers; refuses values that would split a response.

This module does not know the connection: the traits of a line say what a header means for the
framing, and protocol/machine.py acts on them.
"""

from __future__ import annotations

import re

from carboy.grammar import has_control, is_token

from .errors import REASONS, LocalProtocolError, RemoteProtocolError
from .events import Fields, RequestHead
from .states import Writing

# The meaning of a response header for the connection: bits of a line's traits. Most lines have
# none.
LENGTH = 1
DATE = 2
SERVER = 4
CONNECTION = 8
CODING = 16
HSTS = 64  # Strict-Transport-Security (RFC 6797)
HOP = 32  # belongs to the connection, so applications may not send it (PEP 3333)
DEFAULTS = DATE | SERVER | HSTS
# Without content; a client still reads the length of a 205 (RFC 9110, section 15.3.6).
BODILESS = frozenset((*range(100, 200), 204, 205, 304))
WIRE = LENGTH | CONNECTION | CODING | HOP  # the connection writes these itself

_TRAITS = {
    "content-length": LENGTH,
    "date": DATE,
    "server": SERVER,
    "strict-transport-security": HSTS,
    "connection": CONNECTION,
    "transfer-encoding": CODING,
    "keep-alive": HOP,
    "proxy-connection": HOP,
}

Line = tuple[bytes, int]

# Lines that were found valid, by (name, value). Bounded: a full table is emptied, which costs an
# application whose headers never repeat one `clear` every _MEMO_SIZE lines. Another engine of the
# process may empty these tables at any moment, so they are read with one `get`.
_MEMO_SIZE = 1024
_MEMO_VALUE = 128
# Only the lines of these headers are kept: they are the same for every client. Others may hold a
# secret (Set-Cookie, Location, X-Auth-Token), and no secret is kept after its response.
KEPT = frozenset(
    (
        "accept-ranges",
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "access-control-max-age",
        "allow",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "cross-origin-embedder-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "date",
        "expires",
        "keep-alive",
        "last-modified",
        "permissions-policy",
        "pragma",
        "referrer-policy",
        "server",
        "strict-transport-security",
        "transfer-encoding",
        "vary",
        "x-content-type-options",
        "x-frame-options",
        "x-powered-by",
        "x-xss-protection",
    )
)
lines: dict[tuple[str, str], Line] = {}
# Status lines by status, each with its code.
statuses: dict[str, Line] = {}
# The same without codes, for statuses whose responses have a body.
_ordinary: dict[str, bytes] = {}
# Whole heads of such responses, by everything they are made of, so that an application that sends
# the same headers again costs one lookup. Each second has another Date and so a new set; bounded
# too.
_HEADS_SIZE = 256
_heads: dict[tuple[object, ...], bytes] = {}

_status = re.compile(r"[1-9][0-9]{2}(?: [^\x00-\x08\x0a-\x1f\x7f]*+)?").fullmatch


def encode_line(pair: tuple[str, str]) -> Line:
    """`b"Name: value\\r\\n"` and its trait; remembered if the header is in `KEPT`."""
    try:
        name, value = pair
        if not is_token(name):
            raise LocalProtocolError(f"{name!r} is not a header name. Use letters, digits and '-'.")
        if has_control(value):
            raise LocalProtocolError(f"The value of {name} has a control character: {value!r}.")
        line = f"{name}: {value}\r\n".encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(
            f"The value of {name} has characters outside latin-1. Encode it first."
        ) from None
    except (TypeError, ValueError):
        raise LocalProtocolError(
            f"A header is a (name, value) tuple of str, not {pair!r}."
        ) from None
    lowered = name.lower()
    entry = line, _TRAITS.get(lowered, 0)
    if type(pair) is tuple and len(value) <= _MEMO_VALUE and lowered in KEPT:
        if len(lines) >= _MEMO_SIZE:
            lines.clear()
        lines[pair] = entry
    return entry


def encode_status(status: str) -> Line:
    """`b"HTTP/1.1 200 OK\\r\\n"` and the code; remembered."""
    known = statuses.get(status) if isinstance(status, str) else None
    if known is not None:
        return known
    if not isinstance(status, str) or not _status(status):
        raise LocalProtocolError(
            f"A status is like '200 OK', without control characters, not {status!r}."
        )
    # The space stays when the reason is empty (RFC 9112, section 4).
    space = " " if len(status) == 3 else ""
    try:
        line = f"HTTP/1.1 {status}{space}\r\n".encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(
            f"The status has characters outside latin-1: {status!r}."
        ) from None
    entry = line, int(status[:3])
    if len(statuses) >= _MEMO_SIZE:
        statuses.clear()
        _ordinary.clear()
    statuses[status] = entry
    if entry[1] not in BODILESS:
        _ordinary[status] = entry[0]
    return entry


def final_status(status: str, writing: Writing) -> Line:
    """`encode_status` of the response to a request that has none yet. Raises LocalProtocolError."""
    if writing is not Writing.WAITING:
        raise LocalProtocolError("No request is waiting for a response.")
    line = encode_status(status)
    if line[1] < 200:
        raise LocalProtocolError(f"{status} is not a final response. Use a status of 200 or more.")
    return line


def ordinary_response(
    status: str, headers: Fields, body: bytes, extra: bytes, size: int
) -> bytes | None:
    """The whole response, if its status is known already and nothing needs a decision.

    `size` is that of the body; the body may be b"" for the head alone.
    """
    sized = False
    kept = True
    try:
        key = (status, size, extra, *headers)
        known = _heads.get(key)
        if known is not None:
            return known + body
        head = _ordinary.get(status)
        if head is None:
            return None
        for pair in headers:
            entry = lines.get(pair)
            if entry is None:
                kept = False
                entry = encode_line(pair)
            line, traits = entry
            if traits:
                # One correct Content-Length is the only trait that needs no decision.
                if traits != LENGTH or sized or pair[1] != str(size):
                    return None
                sized = True
            head += line
    except TypeError:  # a pair that cannot be a key, for example a list
        return None
    head += extra + (b"\r\n" if sized else b"Content-Length: %d\r\n\r\n" % size)
    if kept:
        if len(_heads) >= _HEADS_SIZE:
            _heads.clear()
        _heads[key] = head
    return head + body


def sized_head(status: str, headers: Fields, extra: bytes) -> tuple[bytes, int] | None:
    """The head of a response and its Content-Length, if it has one and nothing else to decide."""
    size = ""
    try:
        head = _ordinary.get(status)
        if head is None:
            return None
        for pair in headers:
            line, traits = lines.get(pair) or encode_line(pair)
            if traits:
                if traits != LENGTH or size:
                    return None
                size = pair[1]
            head += line
    except TypeError:  # a pair that cannot be a key, for example a list
        return None
    if not (size.isascii() and size.isdigit()) or len(size) > 18:
        return None
    return head + extra + b"\r\n", int(size)


def encode_lines(headers: Fields) -> list[Line]:
    """The line and traits of every header."""
    try:
        return [lines.get(pair) or encode_line(pair) for pair in headers]
    except TypeError:  # a pair that cannot be a key, for example a list
        return [encode_line(pair) for pair in headers]


def examined(headers: Fields, extra: bytes) -> tuple[list[bytes], int | None, list[str], bytes]:
    """The lines of `headers` to send, and what they say.

    That is their Content-Length, the options of their Connection fields, and `extra` (encoded
    default lines) without what they have themselves. Raises LocalProtocolError.
    """
    encoded = encode_lines(headers)
    traits = 0
    for _, trait in encoded:
        traits |= trait
    length = declared_length(headers) if traits & LENGTH else None
    options = connection_options(headers) if traits & CONNECTION else []
    if traits & CODING:
        check_coding(headers)
    if traits & DEFAULTS:
        extra = without_defaults(extra, traits)
    return [line for line, trait in encoded if not trait & WIRE], length, options, extra


def without_defaults(extra: bytes, traits: int) -> bytes:
    """`extra` without the lines (Server, Date, …) the application has sent itself."""
    kept = []
    for line in extra.split(b"\r\n")[:-1]:
        trait = _TRAITS.get(line.partition(b":")[0].decode("latin-1").lower(), 0)
        if not trait & traits:
            kept.append(line + b"\r\n")
    return b"".join(kept)


def connection_options(headers: Fields) -> list[str]:
    """The options of the application's Connection headers, lower-cased."""
    values = [value for name, value in headers if name.lower() == "connection"]
    return [option.strip(" \t").lower() for option in ",".join(values).split(",") if option.strip()]


def declared_length(headers: Fields) -> int:
    """The application's Content-Length. Raises LocalProtocolError for several or an invalid one."""
    values = {value.strip(" \t") for name, value in headers if name.lower() == "content-length"}
    if len(values) != 1:
        raise LocalProtocolError(
            f"The response has more than one Content-Length: {', '.join(sorted(values))}."
        )
    (value,) = values
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise LocalProtocolError(f"Content-Length is not a decimal number: {value!r}.")
    return int(value)


def framing_line(writing: Writing, code: int, length: int | None, size: int | None) -> bytes:
    """The line that frames the body of a response (RFC 9112, section 6), or b"".

    `length` is the application's Content-Length, `size` that of a body which is complete.
    """
    if writing is Writing.CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    if code == 205:
        return b"Content-Length: 0\r\n"
    if code == 204 or writing is Writing.UNTIL_CLOSE:
        return b""
    if length is None and code != 304:
        # An empty body for HEAD does not show whether GET would have one.
        length = size or None if writing is Writing.BODILESS else size
    return b"" if length is None else b"Content-Length: %d\r\n" % length


def connection_line(options: list[str], close: bool, minor: int) -> bytes:
    """The Connection line with the application's `options` and the server's own, or b""."""
    kept = [option for option in options if option not in ("close", "keep-alive")]
    if close:
        kept.append("close")
    elif not minor:
        kept.append("keep-alive")
    return f"Connection: {', '.join(kept)}\r\n".encode("latin-1") if kept else b""


def interim(status: str, headers: Fields, minor: int) -> bytes:
    """An interim response such as 103; b"" for an HTTP/1.0 client, which knows none."""
    line, code = encode_status(status)
    if code >= 200 or code == 101:
        raise LocalProtocolError(f"{status} is not an interim response. Send 100, 102 or 103.")
    fields = encode_lines(headers)
    return b"".join((line, *(field for field, trait in fields if not trait), b"\r\n")) * minor


def switching(status: str, headers: Fields, asked: Fields) -> bytes:
    """The response 101 with `headers` to a request with the fields `asked`.

    It has an Upgrade field with protocols that the client has named (RFC 9110, section 7.8), and
    nothing that would frame content (RFC 9110, section 8.6; RFC 9112, section 6.1).
    """
    line, code = encode_status(status)
    if code != 101:
        raise LocalProtocolError(f"{status} does not switch protocols. Send 101.")
    kept = lines_without_framing(headers)
    named = _protocols(asked)
    chosen = _protocols(headers)
    if not chosen or not named.issuperset(chosen):
        raise LocalProtocolError(
            f"The client asked for {', '.join(sorted(named)) or 'no other protocol'}."
            " Send one of these protocols in an Upgrade header."
        )
    return b"".join((line, *kept, b"Connection: Upgrade\r\n\r\n"))


def lines_without_framing(headers: Fields) -> list[bytes]:
    """The lines to send of a response that opens another protocol. Raises LocalProtocolError."""
    encoded = encode_lines(headers)
    if any(trait & (LENGTH | CODING) for _, trait in encoded):
        raise LocalProtocolError(
            "A response that switches protocols has no content. Send no header that frames it."
        )
    return [field for field, trait in encoded if not trait & WIRE]


# Fields that a recipient needs before the content, so they may not come after it (RFC 9110, section
# 6.5.1): framing, routing, request modifiers, authentication, control data, format of the content.
_BEFORE_CONTENT = frozenset(
    (
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "host",
        "keep-alive",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "www-authenticate",
    )
)


def trailer_lines(trailers: Fields | None, request: RequestHead | None) -> bytes:
    """The field lines after the last chunk; b"" if the client does not accept any.

    A client that does sends `TE: trailers` (RFC 9110, section 10.1.4). Raises LocalProtocolError
    for a field that may not come after the content.
    """
    if not trailers or request is None:
        return b""
    for name, _ in trailers:
        if name.lower() in _BEFORE_CONTENT:
            raise LocalProtocolError(f"{name} cannot be a trailer. Send it as a header.")
    encoded = [line for line, _ in encode_lines(trailers)]
    values = ",".join(value for name, value in request.fields() if name.lower() == "te").split(",")
    accepted = any(value.strip(" \t").lower() == "trailers" for value in values)
    return b"".join(encoded) if accepted else b""


def _protocols(fields: Fields) -> set[str]:
    """The protocols that Upgrade fields name, in lower case."""
    values = ",".join(value for name, value in fields if name.lower() == "upgrade").split(",")
    return {value.strip(" \t").lower() for value in values} - {""}


def refusal(error: RemoteProtocolError, extra: bytes, with_body: bool) -> bytes:
    """The whole response to a request that broke a rule."""
    reason = REASONS.get(error.status, "Error")
    body = f"{error.status} {reason}: {error.message}\n".encode("latin-1", "replace")
    return b"".join(
        (
            b"HTTP/1.1 %d %b\r\n" % (error.status, reason.encode()),
            extra,
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body),
            b"Connection: close\r\n\r\n",
            body if with_body else b"",
        )
    )


def check_coding(headers: Fields) -> None:
    """Refuse a Transfer-Encoding other than `chunked`: the server frames the body (PEP 3333)."""
    for name, value in headers:
        if name.lower() == "transfer-encoding" and value.strip(" \t").lower() not in (
            "chunked",
            "identity",
        ):
            raise LocalProtocolError(
                f"Transfer-Encoding is chosen by the server and cannot be {value!r}."
            )
