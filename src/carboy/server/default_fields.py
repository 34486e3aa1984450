"""The fields that the server adds: Server, Date and HSTS, formatted once a second, and lengths."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from carboy.dates import http_date

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange


class DefaultFields:
    """The encoded lines of Server and Date (RFC 9110, sections 10.2.4 and 6.6.1).

    `lines` is copied into each response head. `refresh` formats it for another second. A client
    gets Strict-Transport-Security over TLS only (RFC 6797, section 7.2): `over_tls` has it, `plain`
    has not, and `lines` has it if the connections of the server are `secure`. `hsts` is its max-age
    in seconds, 0 for none. `request_id` is the name of a field with the id of the request, if any.
    """

    __slots__ = (
        "_hsts", "_hsts_varies", "_id_name", "_secure", "_server", "lines", "over_tls", "plain",
        "varies",
    )  # fmt: skip

    def __init__(
        self, server: str, hsts: int = 0, secure: bool = False, request_id: str = ""
    ) -> None:
        self._server = f"Server: {server}\r\n" if server else ""
        self._hsts = f"Strict-Transport-Security: max-age={hsts}\r\n".encode() if hsts else b""
        self._secure = secure
        # A proxy may end TLS, so each request decides whether its response has HSTS.
        self._hsts_varies = bool(hsts) and not secure
        self._id_name = request_id
        self.varies = self._hsts_varies or bool(request_id)  # `lines` is not that of each response
        self.plain = self.over_tls = self.lines = b""
        self.refresh(time.time())

    def refresh(self, timestamp: float) -> bytes:
        """Format the lines for `timestamp` (seconds since the epoch) and return them."""
        self.plain = f"{self._server}Date: {http_date(timestamp)}\r\n".encode("latin-1")
        self.over_tls = self.plain + self._hsts
        self.lines = self.over_tls if self._secure else self.plain
        return self.lines

    def of(self, exchange: ServerExchange, headers: list[tuple[str, str]]) -> bytes:
        """The lines of one response, whose other fields are `headers`."""
        lines = self.lines
        if self._hsts_varies and exchange.scheme == "https":
            lines = self.over_tls
        name = self._id_name
        if name and not any(each.lower() == name.lower() for each, _ in headers):
            lines += f"{name}: {exchange.id}\r\n".encode()
        return lines


def with_length(headers: list[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    """The header fields with a Content-Length, the application's or this one."""
    if any(name.lower() == "content-length" for name, _ in headers):
        return headers
    return [*headers, ("Content-Length", str(length))]
