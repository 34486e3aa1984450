"""Trailers: the field lines behind a chunked body (RFC 9110, section 6.5).

They never become headers. What may not stand there at all is refused or dropped here.
"""

from __future__ import annotations

from .errors import RemoteProtocolError
from .head import chop, split_field_line

# In trailers these are an attempt to frame or route the request once more.
_REFUSED = frozenset((b"host", b"content-length", b"transfer-encoding"))
# Trailers come too late for what frames, routes, authenticates, modifies or describes a request
# or its content, or controls an answer (RFC 9110, section 6.5.1, and RFC 7230, section 4.1.2,
# which names them): these are dropped.
_DROPPED = frozenset(
    (
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"age",
        b"authentication-info",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-location",
        b"content-range",
        b"content-type",
        b"cookie",
        b"cookie2",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"from",
        b"http2-settings",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"prefer",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"range",
        b"referer",
        b"retry-after",
        b"set-cookie",
        b"set-cookie2",
        b"te",
        b"trailer",
        b"upgrade",
        b"user-agent",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-real-ip",
    )
)


def check_trailer(line: bytes) -> tuple[bytes, bytes] | None:
    """Name and value of a trailer line with its CRLF; None if it is to be dropped."""
    name, value = split_field_line(chop(line))
    if name in _REFUSED:
        raise RemoteProtocolError(
            400, f"the field {name.decode('latin-1')} is not allowed in trailers"
        )
    return None if name in _DROPPED else (name, value)
