"""A file as a response body that the server may let the kernel send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any


class FileWrapper:
    """A file as an iterable of blocks of `buffer_size` bytes, from its current position (PEP 3333).

    `file`, `offset` and `count` (None: to the end) are what sendfile needs.
    """

    def __init__(self, file: IO[bytes], buffer_size: int = 8192) -> None:
        self.file = file
        self.buffer_size = buffer_size
        self.count: int | None = None

    @property
    def offset(self) -> int:
        """The position in the file; 0 if the file has none."""
        try:
            return self.file.tell()
        except (AttributeError, OSError, ValueError):
            return 0

    def narrow(self, start: int, count: int) -> None:
        """Leave only `count` bytes, `start` bytes after the current position."""
        self.file.seek(start, 1)
        self.count = count

    def close(self) -> None:
        if hasattr(self.file, "close"):
            self.file.close()

    def seekable(self) -> bool:
        """Whether `seek` works."""
        if hasattr(self.file, "seekable"):
            return bool(self.file.seekable())
        return hasattr(self.file, "seek")

    def seek(self, *args: Any) -> None:
        if hasattr(self.file, "seek"):
            self.file.seek(*args)

    def tell(self) -> int | None:
        if hasattr(self.file, "tell"):
            return self.file.tell()
        return None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        size = self.buffer_size
        if self.count is not None:
            size = min(size, self.count)
        data = self.file.read(size) if size else b""
        if not data:
            raise StopIteration
        if self.count is not None:
            self.count -= len(data)
        return data
