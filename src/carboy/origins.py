"""Origins of web pages (RFC 6454): the server and the framework check those of WebSockets.

Browsers send cookies with a handshake, also from the page of another site, and let that page read
the messages. The Origin field, which a page cannot forge, says where the page is from (RFC 6455,
section 10.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}
# scheme, "*." for all subdomains, a name or an address in brackets, and a port
_origin = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*)://(\*\.)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#,*@:\[\]]+)(?::(\d{1,5}))?/?",
    re.ASCII,
).fullmatch


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port in lower case. `subdomains`: all subdomains of the host instead."""

    scheme: str
    host: str
    port: str | None  # None: a scheme without a port of its own
    subdomains: bool = False

    def allows(self, other: Origin) -> bool:
        """Whether this origin of a setting is that of a page, or one of its subdomains is."""
        if other.subdomains or (self.scheme, self.port) != (other.scheme, other.port):
            return False
        if self.subdomains:
            return other.host.endswith(f".{self.host}")
        return other.host == self.host

    def is_of(self, host: str) -> bool:
        """Whether the host of the request, with its port if it has one, is that of this origin."""
        return read_origin(f"{self.scheme}://{host}") == self


def read_origin(text: str) -> Origin | None:
    """The origin that a text such as "https://example.com:8443" names, or None."""
    found = _origin(text)
    if found is None:
        return None
    scheme, wildcard, host, port = found.groups()
    scheme = scheme.lower()
    number = PORTS.get(scheme) if port is None else str(int(port))
    return Origin(scheme, host.lower().rstrip("."), number, wildcard is not None)
