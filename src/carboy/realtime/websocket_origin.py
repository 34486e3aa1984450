"""Which web pages may open a WebSocket.

A browser sends the cookies of a site with the handshake of any page, and lets the page read the
messages: the same-origin policy does not apply to WebSocket. So the server has to check the Origin
field, which a page cannot forge (RFC 6455, section 10.2).

    no Origin field              allowed: the client is not a browser
    the host of the request      allowed. A page of https may open a WebSocket of a request that
                                 came as http, because a proxy may have ended TLS; a page of http
                                 may not open one of https.
    one of WEBSOCKET_ORIGINS     allowed; "https://*.example.com" allows each subdomain, "*" all
    any other, also "null"       refused with 403
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from carboy.http.exceptions import Forbidden

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.wrappers import Request

SETTING = "WEBSOCKET_ORIGINS"
PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def check_origin(app: Application, request: Request) -> None:
    """Raise Forbidden, and log why, unless the page may open a WebSocket."""
    origin = request.headers.get("Origin")
    others = origins_of(app.config.get(SETTING))
    if origin is None or is_allowed(origin, request.host, request.is_secure, others):
        return
    app.logger.warning(
        "A WebSocket handshake for %s was refused, because its page is of %r and this host is %r."
        " Add the origin to %s, or have the proxy pass the Host field.",
        request.path,
        origin[:200],
        request.host,
        SETTING,
    )
    raise Forbidden("The origin of this page may not open a WebSocket here.")


def origins_of(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """The origins of the setting. Raises ValueError for one that cannot match."""
    found = (value,) if isinstance(value, str) else tuple(value or ())
    for origin in found:
        parts = urlsplit(origin)
        if origin != "*" and (not parts.scheme or not parts.netloc or parts.path.strip("/")):
            raise ValueError(
                f"{SETTING} has {origin!r}, which is not an origin. Write a scheme and a host,"
                " such as 'https://example.com', or '*' for all pages."
            )
    return found


def is_allowed(origin: str, host: str, secure: bool, others: Iterable[str] = ()) -> bool:
    """Whether a page of `origin` may open a WebSocket of `host`; `secure`: over TLS."""
    asked = _split(origin)
    if "*" in others:
        return True
    if asked is None:
        return False
    scheme, name, port = asked
    own = _split(f"{scheme}://{host}")
    if own is not None and own[1:] == (name, port) and not (secure and scheme == "http"):
        return True
    return any(_matches(asked, _split(other)) for other in others)


def _matches(asked: tuple[str, str, int | None], other: tuple[str, str, int | None] | None) -> bool:
    if other is None or (asked[0], asked[2]) != (other[0], other[2]):
        return False
    name = other[1]
    if name.startswith("*."):
        return asked[1].endswith(name[1:])
    return asked[1] == name


def _split(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an origin, in lower case; None if it has none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port or PORTS.get(parts.scheme)
