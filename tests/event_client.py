"""A client of event streams for tests: a real connection, read as it comes."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

from event_stream import Reader, Received
from running import PATIENCE


class EventClient:
    """One GET request for a stream; reads until what is waited for has come."""

    def __init__(
        self, address: tuple[str, int], path: str, headers: dict[str, str] | None = None
    ) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()
        self.reader = Reader()
        self.ended = False

    def until(self, done: Callable[[Reader], Any]) -> Any:
        """Read until `done` returns something true."""
        while not (found := done(self.reader)):
            assert self._read(), f"the stream ended after {self.reader.events}"
        return found

    def _read(self) -> bool:
        piece = self.response.read1(65536)
        self.reader.feed(piece)
        self.ended = not piece
        return bool(piece)

    def opened(self) -> EventClient:
        """Wait until the server has attached the channels."""
        self.until(lambda reader: reader.retry is not None)
        return self

    def events(self, count: int) -> list[Received]:
        """The first `count` events."""
        return list(self.until(lambda reader: reader.events[:count][count - 1 :] and reader.events))

    def data(self, count: int) -> list[str]:
        return [each.data for each in self.events(count)[:count]]

    def to_end(self) -> list[Received]:
        """Everything until the server ends the stream."""
        while self._read():
            pass
        return self.reader.events

    def close(self) -> None:
        self.response.close()
        self.connection.close()

    def __enter__(self) -> EventClient:
        return self.opened()

    def __exit__(self, *exc: object) -> None:
        self.close()
