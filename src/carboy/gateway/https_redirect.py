"""Answers requests on a plain port with the https URL of the same page.

The host of the request goes into the URL only if the server has a certificate for it, so that a
forged Host field leads nowhere, and nothing that a cache could keep names a foreign host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Hashable
from typing import Any

from carboy.gateway.interface import Answer, Exchange

CHALLENGES = "/.well-known/acme-challenge/"
# Routes (gateway/route.py)
ROUTE = "(redirect to HTTPS)"
CHALLENGE_ROUTE = "(certificate challenge)"
Headers = list[tuple[str, str]]
_host = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?").fullmatch
# A cache keeps neither the redirect nor the refusal: HTTPS may be switched off again, and browsers
# remember it by Strict-Transport-Security.
TEXT: Headers = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
]
CHALLENGE: Headers = [("Content-Type", "application/octet-stream"), *TEXT[1:]]
ORDERING = (
    b"503 Service Unavailable: the certificate for this host has been ordered. Try again in a"
    b" minute.\n"
)


class HttpsRedirect:
    """A gateway without an application.

    `covers` says whether there is a certificate for a host, `port` is the port of HTTPS.
    `challenge` finds the response for the token of a challenge. `ordering` says whether the
    certificate for a host is a temporary one, until an authority has issued another.
    """

    def __init__(
        self,
        covers: Callable[[str], bool],
        port: int,
        challenge: Callable[[str], bytes | None] = lambda token: None,
        ordering: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self._covers = covers
        self._challenge = challenge
        self._ordering = ordering
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

    def handle(self, exchange: Any) -> Answer:
        """308 with the https URL, or 421 for a host without a certificate (RFC 9110, 15.5.20)."""
        if exchange.head.path.startswith(CHALLENGES):
            found = self._challenge(exchange.head.path.removeprefix(CHALLENGES))
            if found is not None:
                exchange.rule = CHALLENGE_ROUTE
                return "200 OK", CHALLENGE, found, None
        exchange.rule = ROUTE
        name = host_name(exchange.head.host)
        if not name or not self._covers(name):
            return (
                "421 Misdirected Request",
                TEXT,
                b"421 Misdirected Request: this server has no certificate for this host.\n",
                None,
            )
        if self._ordering(name):
            return "503 Service Unavailable", [("Retry-After", "30"), *TEXT], ORDERING, None
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
