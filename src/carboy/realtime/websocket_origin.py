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

from carboy.http.exceptions import Forbidden
from carboy.origins import read_origin

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.wrappers import Request

SETTING = "WEBSOCKET_ORIGINS"
ANY = "*"


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
        if origin != ANY and read_origin(origin) is None:
            raise ValueError(
                f"{SETTING} has {origin!r}, which is not an origin. Write a scheme and a host,"
                " such as 'https://example.com', or '*' for all pages."
            )
    return found


def is_allowed(origin: str, host: str, secure: bool, others: Iterable[str] = ()) -> bool:
    """Whether a page of `origin` may open a WebSocket of `host`; `secure`: over TLS."""
    if ANY in others:
        return True
    page = read_origin(origin)
    if page is None or page.subdomains:
        return False
    if page.is_of(host) and not (secure and page.scheme == "http"):
        return True
    return any(each.allows(page) for each in map(read_origin, others) if each is not None)
