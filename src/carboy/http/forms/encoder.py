"""Writes a multipart body event by event (RFC 7578)."""

from __future__ import annotations

from carboy.http.forms.events import Data, Epilogue, Event, Field, File, Preamble, State

# HTML, "multipart/form-data encoding algorithm": what would end a quoted name.
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class MultipartEncoder:
    """Turns events into octets. ValueError for one that cannot stand at its place."""

    def __init__(self, boundary: bytes) -> None:
        self.boundary = boundary
        self.state = State.PREAMBLE

    def send_event(self, event: Event) -> bytes:
        """The octets of the event."""
        if isinstance(event, Preamble) and self.state is State.PREAMBLE:
            self.state = State.PART
            return event.data
        if isinstance(event, Field | File) and self.state in _BEFORE_A_PART:
            self.state = State.DATA_START
            return self._head(event)
        if isinstance(event, Data) and self.state in (State.DATA_START, State.DATA):
            return self._data(event)
        if isinstance(event, Epilogue):
            self.state = State.COMPLETE
            return b"\r\n--" + self.boundary + b"--\r\n" + event.data
        raise ValueError(
            f"Cannot generate {event!r} in state: {self.state}. Send the head of a part"
            " before its data."
        )

    def _head(self, event: Field | File) -> bytes:
        first = f'Content-Disposition: form-data; name="{event.name.translate(_ESCAPES)}"'
        if isinstance(event, File):
            first += f'; filename="{event.filename.translate(_ESCAPES)}"'
        lines = [first]
        lines += [f"{k}: {v}" for k, v in event.headers if k.lower() != "content-disposition"]
        return b"\r\n--" + self.boundary + b"\r\n" + "\r\n".join([*lines, ""]).encode()

    def _data(self, event: Data) -> bytes:
        # The empty line goes with the first content; without any the next boundary brings it.
        if self.state is State.DATA_START and (event.data or not event.more_data):
            self.state = State.DATA
            return b"\r\n" + event.data if event.data else b""
        return event.data


_BEFORE_A_PART = (State.PREAMBLE, State.PART, State.DATA)
