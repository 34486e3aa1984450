"""Messages of any length on a pipe that several threads and signal handlers write to.

    START  number of the message  ;  a piece of its JSON  MORE or END

A pipe takes up to PIPE_BUF bytes in one piece, so a message is cut into pieces of that length. Then
threads need no lock, and no byte of a signal handler, or text that faulthandler writes while a
thread sends, is within a piece. JSON has no control bytes.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import select
from typing import Any

START, MORE, END = b"\x02", b"\x01", b"\x03"
PIECE = getattr(select, "PIPE_BUF", 512) - 32  # bytes of JSON; the rest is for the number
LARGEST = 64 * 1024 * 1024  # bytes of a message: a profile of all threads for some minutes

_pieces = re.compile(rb"\x02(\d+);([^\x00-\x08\x15]*)([\x01\x03])")
_unfinished = re.compile(rb"\x02[^\x00-\x08\x15]*\Z")
_numbers = itertools.count(1)

Message = dict[str, Any]


class TooLarge(ValueError):
    """A message is larger than LARGEST; the text says so."""


def send_message(fd: int, message: Message) -> None:
    """Write a message. Raises TooLarge, OSError, and TypeError for what JSON does not have."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > LARGEST:
        raise TooLarge(f"The answer has {len(data)} bytes, more than the {LARGEST} allowed.")
    number = b"%d;" % next(_numbers)
    for at in range(0, len(data), PIECE):
        ending = MORE if at + PIECE < len(data) else END
        os.write(fd, b"".join((START, number, data[at : at + PIECE], ending)))


class MessageReader:
    """Takes the messages out of what was read."""

    def __init__(self) -> None:
        self._begun: dict[bytes, list[bytes]] = {}
        self._size = 0

    def take(self, received: bytearray) -> list[Message]:
        """Remove the pieces in `received`, and return the messages that are complete."""
        found: list[Message] = []
        pieces = _pieces.findall(received)
        if not pieces:
            return found
        received[:] = _pieces.sub(b"", received)
        for number, piece, ending in pieces:
            self._size += len(piece)
            if self._size > 2 * LARGEST:  # the sender does not do this
                self._begun.clear()
                self._size = 0
            parts = self._begun.setdefault(number, [])
            parts.append(piece)
            if ending == END:
                del self._begun[number]
                whole = b"".join(parts)
                self._size -= len(whole)
                try:
                    found.append(json.loads(whole))
                except ValueError:
                    pass  # its beginning was discarded
        return found


def take_text(received: bytearray) -> bytes:
    """Remove everything but an unfinished piece, and return it."""
    unfinished = _unfinished.search(received)
    at = unfinished.start() if unfinished else len(received)
    text = bytes(received[:at])
    del received[:at]
    return text
