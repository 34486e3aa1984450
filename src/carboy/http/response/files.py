"""A file as the body of a response, so described that a server may let the kernel send it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class FileWrapper:
    """Iterates a file from where it stands in blocks of `buffer_size` octets (PEP 3333).

    `file`, `offset` and `count` (None: to its end) are what sendfile needs.
    """

    def __init__(self, file: IO[bytes], buffer_size: int = 8192) -> None:
        self.file = file
        self.buffer_size = buffer_size
        self.count: int | None = None

    @property
    def offset(self) -> int:
        """Where the file stands; 0 for one that cannot tell."""
        try:
            return self.file.tell()
        except (AttributeError, OSError, ValueError):
            return 0

    def narrow(self, start: int, count: int) -> None:
        """Leave only `count` octets from `start` on, counted from where the file stands."""
        self.file.seek(start, 1)
        self.count = count

    def close(self) -> None:
        if hasattr(self.file, "close"):
            self.file.close()

    def seekable(self) -> bool:
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


def wrap_file(
    environ: WSGIEnvironment, file: IO[bytes], buffer_size: int = 8192
) -> Iterable[bytes]:
    """The file in the server's own wrapper (`wsgi.file_wrapper`), otherwise in FileWrapper."""
    wrapper = environ.get("wsgi.file_wrapper", FileWrapper)
    wrapped: Iterable[bytes] = wrapper(file, buffer_size)
    return wrapped


def can_seek(body: object) -> bool:
    """Whether the body says that it has a position which can be set."""
    seekable = getattr(body, "seekable", None)
    return seekable is not None and bool(seekable())


class RangeIterator:
    """A part of an iterable body: `byte_range` bytes, or all there are, after `start_byte`.

    A body that can seek is not read up to there. Closes the iterable when closed.
    """

    def __init__(
        self, iterable: Iterable[bytes], start_byte: int = 0, byte_range: int | None = None
    ) -> None:
        self._iterable = iterable
        self._chunks = iter(iterable)
        self._skip = start_byte
        self._left = sys.maxsize if byte_range is None else byte_range
        self.seekable = can_seek(iterable)
        self._placed = not self.seekable

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._placed:
            cast("IO[bytes]", self._iterable).seek(self._skip)
            self._skip, self._placed = 0, True
        while self._left > 0:
            chunk = next(self._chunks)
            if self._skip >= len(chunk):
                self._skip -= len(chunk)
                continue
            chunk = chunk[self._skip : self._skip + self._left]
            self._skip = 0
            self._left -= len(chunk)
            return chunk
        raise StopIteration

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()
