"""Field sections of a client: the frames they come in, and their compression (RFC 7541).

A section is decoded even if its stream is not served, because each one may change the table that
the next one refers to. Sections that were decoded since the last change are remembered: a client
that asks for the same thing again most often sends the same bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from .codes import END_HEADERS, END_STREAM, MOST_STREAM, WITH_PRIORITY, Code, ConnectionFailed
from .frames import unpadded
from .limits import Http2Limits

Pairs = list[tuple[bytes, bytes]]
REMEMBERED = 32  # sections
LONGEST = 1024  # bytes of a section that is remembered


class Section(NamedTuple):
    """A field section, decoded. Equal sections share their `pairs`."""

    number: int
    ended: bool
    of_itself: bool  # the stream depends on itself, by an obsolete rule of priority
    pairs: Pairs
    known: bool  # an equal section has come before, so what was made of it may be used again


class _Table(HeaderTable):
    """The dynamic table, which counts its changes."""

    changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class SectionReader:
    """Frames in, sections out. Raises ConnectionFailed, after which it cannot be used."""

    def __init__(self, http2: Http2Limits) -> None:
        self._http2 = http2
        self._decoder: Any = Decoder(max_header_list_size=http2.header_list)
        self._decoder.header_table = self._table = _Table()
        # Until the client has acknowledged our settings, those of the RFC are valid too.
        self._decoder.max_allowed_table_size = max(4096, http2.header_table)
        self._known: dict[bytes, Pairs] = {}
        self._known_at = 0  # changes of the table at that time
        self.open = 0  # the stream of a section that is not complete; 0: none is open
        self._flags = 0
        self._of_itself = False
        self._parts: list[bytes] = []
        self._size = 0

    def acknowledged(self) -> None:
        """The client uses the settings that we have sent."""
        self._decoder.max_allowed_table_size = self._http2.header_table

    def headers(self, flags: int, number: int, payload: bytes) -> Section | None:
        """Take a HEADERS frame; returns its section if it is complete."""
        payload = unpadded(flags, payload)
        self._of_itself = False
        if flags & WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFailed(
                    Code.FRAME_SIZE_ERROR, "HEADERS are too short for their priority"
                )
            self._of_itself = int.from_bytes(payload[:4]) & MOST_STREAM == number
            payload = payload[5:]
        if flags & END_HEADERS:
            return self._section(number, flags, payload)
        self.open, self._flags, self._parts, self._size = number, flags, [payload], len(payload)
        return None

    def continuation(self, flags: int, payload: bytes) -> Section | None:
        """Take a CONTINUATION frame; returns the section if it is complete now."""
        if not self.open:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._parts.append(payload)
        self._size += len(payload)
        if len(self._parts) - 1 > self._http2.continuations:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "too many CONTINUATION frames")
        if self._size > self._http2.header_list:
            raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "a header block is too large")
        if not flags & END_HEADERS:
            return None
        number, self.open = self.open, 0
        block = b"".join(self._parts)
        self._parts = []
        return self._section(number, self._flags, block)

    def _section(self, number: int, flags: int, block: bytes) -> Section:
        known, table = self._known, self._table
        if table.changes != self._known_at:
            known.clear()
            self._known_at = table.changes
        pairs = known.get(block)
        again = pairs is not None
        if pairs is None:
            pairs = self._decoded(block)
        return Section(number, bool(flags & END_STREAM), self._of_itself, pairs, again)

    def _decoded(self, block: bytes) -> Pairs:
        known, table = self._known, self._table
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError:
            raise ConnectionFailed(
                Code.ENHANCE_YOUR_CALM, "the headers of a request are too large"
            ) from None
        except (HPACKError, IndexError, ValueError) as error:
            raise ConnectionFailed(
                Code.COMPRESSION_ERROR, f"a header block cannot be decoded: {error}"
            ) from None
        pairs = [(bytes(name), bytes(value)) for name, value in decoded]
        # A section that sets the size of the table (its first byte says so) may change it too.
        if (
            table.changes == self._known_at
            and len(block) <= LONGEST
            and block[:1] != b""
            and block[0] & 0xE0 != 0x20
        ):
            if len(known) >= REMEMBERED:
                known.clear()
            known[block] = pairs
        elif table.changes == self._known_at:
            known.clear()
        return pairs
