"""Parts of a response that an ASGI application sends by extensions: of a file, and trailers."""

from __future__ import annotations

import os
import stat
from typing import Any


class FilePart:
    """The bytes of a file that a message `http.response.zerocopysend` names.

    Without an offset they begin at the position of the file, which moves behind them at the end of
    the block, as `os.sendfile` moves it. Raises OSError for a file that is not a regular one.
    """

    def __init__(self, message: dict[str, Any]) -> None:
        self._file = message["file"]
        self.fd: int = self._file if isinstance(self._file, int) else self._file.fileno()
        facts = os.fstat(self.fd)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(f"{self._file!r} is not a regular file. Send its content as a body.")
        offset = message.get("offset")
        self._moves = offset is None
        self.offset: int = self._position() if offset is None else int(offset)
        there = max(0, facts.st_size - self.offset)
        count = message.get("count")
        self.count = there if count is None else min(there, int(count))
        if self.offset < 0 or self.count < 0:
            raise ValueError(
                "The offset and the count of http.response.zerocopysend are 0 or more."
            )

    def _position(self) -> int:
        if isinstance(self._file, int):
            return os.lseek(self._file, 0, os.SEEK_CUR)
        return int(self._file.tell())

    def __enter__(self) -> FilePart:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._moves and kind is None:
            end = self.offset + self.count
            if isinstance(self._file, int):
                os.lseek(self._file, end, os.SEEK_SET)
            else:
                self._file.seek(end)


class Trailers:
    """The fields after a body, from one or more messages `http.response.trailers`."""

    __slots__ = ("_body_complete", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self._body_complete = False

    def body(self, more: bool) -> None:
        """Note a part of the body. Raises RuntimeError for a part after the last one."""
        if self._body_complete:
            raise RuntimeError("The body is complete already. Send http.response.trailers.")
        self._body_complete = not more

    def add(self, fields: list[tuple[str, str]]) -> None:
        """Add the fields of one message."""
        if not self._body_complete:
            raise RuntimeError("Trailers follow a message of the body without `more_body`.")
        self.fields += fields
