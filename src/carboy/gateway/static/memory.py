"""The content of small files in memory, up to a number of bytes.

The files are in the order in which they came. To make room, the oldest is discarded, unless it was
used since the last search: then it goes to the end (the clock algorithm). So a file that is used
costs nothing but the mark.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carboy.gateway.static.files import File

LARGEST = 256 * 1024  # bytes of one file; the kernel sends larger ones


class Memory:
    """Keeps up to `size` bytes, for all folders of a worker."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.largest = min(LARGEST, size // 4)
        self.used = 0
        self._files: OrderedDict[int, File] = OrderedDict()
        self._lock = Lock()

    def keep(self, file: File, data: bytes) -> None:
        """Keep the content of a file, and discard that of others to make room."""
        with self._lock:
            if file.content is not None or len(data) > self.largest:
                return
            while self._files and self.used + len(data) > self.size:
                key, other = self._files.popitem(last=False)
                if other.used:
                    other.used = False
                    self._files[key] = other
                else:
                    self._discard(other)
            file.content = data
            self.used += len(data)
            self._files[id(file)] = file

    def forget(self, file: File) -> None:
        """The file has changed."""
        with self._lock:
            if self._files.pop(id(file), None) is not None:
                self._discard(file)

    def _discard(self, file: File) -> None:
        if file.content is not None:
            self.used -= len(file.content)
            file.content = None
