"""A client's reading of a text/event-stream, strictly by WHATWG HTML, section 9.2.6."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """An event as a client dispatches it."""

    type: str
    data: str
    last_event_id: str


class Reader:
    """Interprets a whole stream, or pieces of it as they come."""

    def __init__(self) -> None:
        self.events: list[Received] = []
        self.retry: int | None = None
        self.comments: list[str] = []
        self.last_event_id = ""
        self._id = self._type = ""
        self._data: list[str] = []
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> list[Received]:
        """The events that these bytes complete."""
        before = len(self.events)
        self._rest += data
        if not self._begun and len(self._rest) >= 3:
            self._begun = True
            self._rest = self._rest.removeprefix(b"\xef\xbb\xbf")
        # A CR at the end may be half of a CRLF.
        while (end := re.search(rb"\r\n|\n|\r(?!\Z)", self._rest)) is not None:
            line, self._rest = self._rest[: end.start()], self._rest[end.end() :]
            self._line(line.decode("utf-8", "replace"))
        return self.events[before:]

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:])
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            self.events.append(
                Received(self._type or "message", "\n".join(self._data), self.last_event_id)
            )
        self._data = []
        self._type = ""


def read(stream: bytes) -> Reader:
    """Everything in a stream that has ended; an event that is not complete is lost."""
    reader = Reader()
    reader.feed(stream)
    reader.feed(b"")
    return reader
