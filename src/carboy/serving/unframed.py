"""Answers whose application has framed them itself.

PEP 3333 leaves framing to the server, and Werkzeug's frames only when it serves in threads. An
application that says `Transfer-Encoding: chunked` and yields chunks with their sizes would be
framed twice, so its own frame is taken off again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from carboy.gateway.interface import Answer


class _Pieces(io.RawIOBase):
    """An iterable of octets as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def unframed(answer: Answer) -> Answer:
    """The answer without a frame of its own; each of its chunks stays one piece."""
    status, headers, body, close = answer
    if not any(n.lower() == "transfer-encoding" and v.lower() == "chunked" for n, v in headers):
        return answer
    # A length beside it would be that of the frame (RFC 9112, section 6.3: it does not count).
    own = ("transfer-encoding", "content-length")
    headers = [(n, v) for n, v in headers if n.lower() not in own]
    pieces = [body] if isinstance(body, bytes) else body
    return status, headers, _contents(pieces), close


def _contents(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is in the chunks. OSError, which cuts the answer, where they are malformed."""
    file = io.BufferedReader(_Pieces(pieces))
    while line := file.readline():
        try:
            size = int(line, 16)
        except ValueError:
            yield line  # with it goes the head: the client sees an answer that is cut
            raise OSError(f"The application's {line!r:.40} is no size of a chunk.") from None
        if size <= 0:
            return
        content = file.read(size)
        yield content
        if len(content) < size or file.readline() not in (b"\r\n", b"\n"):
            raise OSError("The application's own chunks do not fit their sizes.")
