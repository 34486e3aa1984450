"""The content of an uploaded file, in the temporary file that has the whole request body.

The server writes a large body into a file that has no name and that nothing changes afterwards
(carboy/spooled_body.py). The content of a part is a range of this file, so it is not copied into a
file of its own: a PartContent reads the range by `pread`, with a duplicate of the descriptor, and
keeps the file for as long as it is used.

An application may do with an uploaded file what it does with any temporary file. The first use that
needs a file of its own (`write`, `truncate`, `fileno`, `name`) makes one and copies the range.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, TYPE_CHECKING, Any

from carboy.spooled_body import SpooledBody

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 1024 * 1024

# os.preadv is not there on Windows.
can_share = hasattr(os, "preadv")


def can_be_filled(file: IO[bytes]) -> bool:
    """Whether this is an empty SpooledTemporaryFile that would make an ordinary file on the disk.

    One with a folder, a prefix or a suffix belongs to an application that wants the file there.
    """
    # Without tempfile, nothing can be an object of its class.
    tempfile: Any = sys.modules.get("tempfile")
    if not can_share or tempfile is None or type(file) is not tempfile.SpooledTemporaryFile:
        return False
    spooled: Any = file
    if spooled._rolled or not spooled._max_size or spooled.tell():
        return False
    options = spooled._TemporaryFileArgs
    return options["mode"] == "rb+" and not any(options[key] for key in ("dir", "prefix", "suffix"))


def fill(file: IO[bytes], body: SpooledBody, start: int, size: int) -> None:
    """Give the file `size` bytes of the body: as a copy up to its limit, otherwise by sharing."""
    spooled: Any = file
    if size <= spooled._max_size:
        spooled.write(os.pread(body.fileno(), size, start))
        return
    content = PartContent(os.dup(body.fileno()), start, size)
    # As after its own `rollover`, which would have written the bytes into another file.
    spooled._file = io.BufferedRandom(content)
    spooled._rolled = True


class PartContent(io.RawIOBase):
    """A range of a file as a file of its own, which is copied before it is changed.

    `shared` is a descriptor, which this object closes.
    """

    def __init__(self, shared: int, start: int, size: int) -> None:
        super().__init__()
        self._shared = shared
        self._start = start
        self._size = size
        self._at = 0
        self._own: io.FileIO | None = None  # the copy, once there is one

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def mode(self) -> str:
        return "rb+"

    @property
    def name(self) -> int:
        """The descriptor, which is the name of a temporary file."""
        return self.fileno()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._check_open()
        if self._own is not None:
            return self._own.readinto(buffer)
        view = memoryview(buffer).cast("B")
        count = max(min(len(view), self._size - self._at), 0)
        if count:
            count = os.preadv(self._shared, [view[:count]], self._start + self._at)
            self._at += count
        return count

    def readall(self) -> bytes:
        self._check_open()
        if self._own is not None:
            return self._own.readall()
        pieces = []
        while piece := self._piece(self._at):
            pieces.append(piece)
            self._at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, at: int, most: int | None = None) -> bytes:
        left = max(self._size - at, 0)
        return os.pread(self._shared, left if most is None else min(left, most), self._start + at)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._check_open()
        if self._own is not None:
            return self._own.seek(offset, whence)
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            return self._copied().seek(offset, whence)
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise OSError(22, "Invalid argument")
        self._at = at
        return at

    def tell(self) -> int:
        self._check_open()
        return self._at if self._own is None else self._own.tell()

    def write(self, data: Any, /) -> int | None:
        return self._copied().write(data)

    def truncate(self, size: int | None = None, /) -> int:
        return self._copied().truncate(size)

    def fileno(self) -> int:
        return self._copied().fileno()

    def _copied(self) -> io.FileIO:
        """The file with the copy. Raises OSError when the disk is full, and nothing has changed."""
        self._check_open()
        if self._own is None:
            # Loaded: the temporary file that this object is part of comes from there.
            own: io.FileIO = sys.modules["tempfile"].TemporaryFile("rb+", buffering=0)
            try:
                at = 0
                while piece := self._piece(at, PIECE):
                    at += _written(own, piece)
                own.seek(self._at)
            except BaseException:
                own.close()
                raise
            self._own = own
            self._give_up_shared()
        return self._own

    def _give_up_shared(self) -> None:
        shared, self._shared = self._shared, -1
        if shared >= 0:
            os.close(shared)

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()
            finally:
                if self._own is not None:
                    self._own.close()
                self._give_up_shared()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


def _written(file: io.FileIO, data: bytes) -> int:
    """Write all of the data; the number of bytes."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]
    return len(data)
