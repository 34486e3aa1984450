"""Answers every request on a plain port with the https URL of the same page.

The host of the request goes into the URL only if the server has a certificate for it, so that a
forged Host field leads nowhere, and nothing that a cache could keep names a foreign host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Hashable

from carboy.gateway.interface import Answer, Exchange

Headers = list[tuple[str, str]]
_host = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?").fullmatch
# A cache keeps neither the redirect nor the refusal: HTTPS may be switched off again, and browsers
# remember it by Strict-Transport-Security.
TEXT: Headers = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
]


class HttpsRedirect:
    """A gateway without an application.

    `covers` says whether there is a certificate for a host, `port` is the port of HTTPS.
    """

    def __init__(self, covers: Callable[[str], bool], port: int) -> None:
        self._covers = covers
        self._port = "" if port == 443 else f":{port}"

    def prepare(self, exchange: Exchange) -> Hashable:
        """One key for all requests."""
        return "redirect"

    def body_limit(self, exchange: Exchange) -> int | None:
        """The server's own limit; no body is read."""
        return None

    def wants_stream(self, exchange: Exchange) -> bool:
        """True: the client is answered before it has sent its body."""
        return True

    def handle(self, exchange: Exchange) -> Answer:
        """308 with the https URL, or 421 for a host without a certificate (RFC 9110, 15.5.20)."""
        name = host_name(exchange.head.host)
        if not name or not self._covers(name):
            return (
                "421 Misdirected Request",
                TEXT,
                b"421 Misdirected Request: this server has no certificate for this host.\n",
                None,
            )
        head = exchange.head
        path = head.path if head.path.startswith("/") else "/"
        query = f"?{head.query}" if head.query else ""
        host = f"[{name}]" if ":" in name else name
        url = f"https://{host}{self._port}{path}{query}"
        return "308 Permanent Redirect", [("Location", url), *TEXT], b"Use HTTPS.\n", None


def host_name(host: str) -> str:
    """The name or address in a Host field, in lower case and without a port; "" without one."""
    found = _host(host)
    if found is None:
        return ""
    name = (found[1] or found[2] or "").lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
