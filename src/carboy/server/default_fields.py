"""The Server and Date fields of every response, formatted once a second."""

from __future__ import annotations

import time

from carboy.dates import http_date


class DefaultFields:
    """The encoded lines of Server and Date (RFC 9110, sections 10.2.4 and 6.6.1).

    `lines` is copied into each response head. `refresh` formats it for another second.
    """

    def __init__(self, server: str) -> None:
        self._server = f"Server: {server}\r\n" if server else ""
        self.lines = b""
        self.refresh(time.time())

    def refresh(self, timestamp: float) -> bytes:
        """Format the lines for `timestamp` (seconds since the epoch) and return them."""
        self.lines = f"{self._server}Date: {http_date(timestamp)}\r\n".encode("latin-1")
        return self.lines
