"""The lines that every response gets, made once a second and not once a request."""

from __future__ import annotations

import time

from carboy.dates import http_date


class ExtraLines:
    """The encoded Server and Date lines (RFC 9110, sections 10.2.4 and 6.6.1).

    `lines` is what a response head takes as it is; `refresh` renews it for the current second.
    """

    def __init__(self, server: str) -> None:
        self._server = f"Server: {server}\r\n" if server else ""
        self.lines = b""
        self.refresh(time.time())

    def refresh(self, timestamp: float) -> bytes:
        """The lines for `timestamp`, in seconds since the epoch."""
        self.lines = f"{self._server}Date: {http_date(timestamp)}\r\n".encode("latin-1")
        return self.lines
