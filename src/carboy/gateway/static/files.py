"""The files of one folder: found, verified at each request, and opened.

A file is known by its device, inode, size and time of modification. A request costs one `stat`,
and the memory of a file is used only if these four are those of the file that was read. A file
that was written within the last RACY seconds is not kept in memory: it could be written again
without a change of these four.

Links are resolved when a file is first found and when its four figures change. A file outside the
folder is never opened. Any thread may use an object of this file: each step is one operation on a
dictionary, and a file that two threads find at once is merely made twice.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from typing import Any

from carboy.dates import http_date
from carboy.gateway.static.memory import Memory
from carboy.gateway.static.paths import is_hidden

log = logging.getLogger("carboy.error")

RACY = 2.0  # seconds; more than the granularity of the times of any file system
KNOWN = 4096  # files remembered of a folder
SIBLINGS_EVERY = 1.0  # seconds between two looks for siblings of a file
# O_NONBLOCK: a FIFO must not block the server. O_NOFOLLOW: all links have been resolved before.
FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
# A name that cannot be a file here. Other errors are those of the disk or of the process.
NOT_THERE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR,
     errno.ENXIO}
)  # fmt: skip
REFUSED = frozenset({errno.EACCES, errno.EPERM})

Signature = tuple[int, int, int, int]


class File:
    """A regular file, or a folder, as it was when it was found."""

    __slots__ = ("content", "is_folder", "modified", "modified_text", "name", "real",
                 "representations", "siblings", "siblings_at", "signature", "size", "tag",
                 "used")  # fmt: skip

    def __init__(self, name: bytes, real: bytes, status: os.stat_result) -> None:
        self.name = name
        self.real = real  # the path without links
        self.signature = signature_of(status)
        self.is_folder = stat.S_ISDIR(status.st_mode)
        self.size = status.st_size
        self.modified = int(status.st_mtime)
        self.modified_text = _date(status.st_mtime)
        self.tag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
        self.content: bytes | None = None
        self.used = False  # since the memory was last searched for something to discard
        self.siblings: tuple[str, ...] = ()  # codings
        self.siblings_at = 0.0
        self.representations: dict[tuple[str, ...], Any] = {}

    def settled(self) -> bool:
        """Whether the file was last written more than RACY seconds ago."""
        return abs(time.time() - self.signature[3] / 1e9) > RACY


class Changed(Exception):
    """The file has changed, or was replaced, since it was found."""


def signature_of(status: os.stat_result) -> Signature:
    """The figures by which a file is known."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _date(seconds: float) -> str:
    try:
        return http_date(seconds)
    except (ValueError, OverflowError, OSError):
        return http_date(0)


class Files:
    """The files below `root`. `memory` keeps the content of small ones."""

    def __init__(self, root: bytes, memory: Memory) -> None:
        self.root = root
        self._memory = memory
        self._known: dict[bytes, File] = {}
        self._reported: set[bytes] = set()

    def find(self, name: bytes) -> File | None:
        """The file or folder with this name as it is now; None if there is none to publish.

        Raises OSError if the disk or the process has a problem.
        """
        file = self._known.get(name)
        try:
            status = os.stat(os.path.join(self.root, name))  # noqa: PTH116, PTH118
            if file is not None:
                if signature_of(status) == file.signature:
                    return file
                self._forget(file)
            file = self._resolve(name)
        except OSError as problem:
            if file is not None:
                self._forget(file)
            if problem.errno in NOT_THERE:
                return None
            if problem.errno not in REFUSED:
                raise
            self._report(name, problem)
            return None
        if file is not None:
            if len(self._known) >= KNOWN:
                self._forget_all()
            self._known[name] = file
        return file

    def _forget(self, file: File) -> None:
        self._known.pop(file.name, None)
        self._memory.forget(file)

    def _forget_all(self) -> None:
        known, self._known = self._known, {}
        for file in known.values():
            self._memory.forget(file)

    def _report(self, name: bytes, problem: OSError) -> None:
        if name not in self._reported and len(self._reported) < KNOWN:
            self._reported.add(name)
            path = os.fsdecode(os.path.join(self.root, name))  # noqa: PTH118
            log.warning("A static file cannot be read: %s: %s.", path, problem.strerror)

    def _resolve(self, name: bytes) -> File | None:
        root = os.path.realpath(self.root, strict=True)
        real = os.path.realpath(os.path.join(root, name), strict=True)  # noqa: PTH118
        inside = root.rstrip(b"/") + b"/"
        if real != root and not real.startswith(inside):
            return None  # a link leads out of the folder
        if any(map(is_hidden, real[len(inside) :].split(b"/"))):
            return None  # a link leads to a hidden file
        status = os.stat(real)  # noqa: PTH116
        if stat.S_ISDIR(status.st_mode):
            return File(name, real, status)
        if not stat.S_ISREG(status.st_mode) or name.endswith(b"/"):
            return None
        fd = os.open(real, FLAGS)
        try:
            status = os.fstat(fd)
            return File(name, real, status) if stat.S_ISREG(status.st_mode) else None
        finally:
            os.close(fd)

    def siblings(self, file: File, suffixes: dict[str, bytes]) -> tuple[str, ...]:
        """The codings in which the file is there as well, compressed before: `name.br`.

        A sibling that is older than the file is left out. They are looked for once a second.
        """
        now = time.monotonic()
        if not file.siblings_at or now - file.siblings_at > SIBLINGS_EVERY:
            file.siblings_at = now
            file.siblings = tuple(
                coding for coding, suffix in suffixes.items() if self.sibling(file, suffix)
            )
        return file.siblings

    def sibling(self, file: File, suffix: bytes) -> File | None:
        """The file compressed before, with this suffix, as it is now."""
        found = self.find(file.name + suffix)
        if found is None or found.is_folder or found.modified < file.modified:
            return None
        return found

    # --- content

    def content(self, file: File) -> bytes | None:
        """The content of a small file; None for one that is to be sent from the disk.

        Raises Changed, and OSError.
        """
        if file.content is not None:
            file.used = True
            return file.content
        if file.size > self._memory.largest:
            return None
        fd = self.open(file)
        try:
            data = _read(fd, file.size)
        finally:
            os.close(fd)
        if len(data) != file.size:
            raise Changed
        if file.settled() and self._known.get(file.name) is file:
            self._memory.keep(file, data)
        return data

    def open(self, file: File) -> int:
        """A descriptor of the file. Raises Changed if another file is there now, and OSError."""
        try:
            fd = os.open(file.real, FLAGS)
        except OSError as problem:
            if problem.errno in NOT_THERE | REFUSED:
                self._known.pop(file.name, None)
                raise Changed from None
            raise
        if signature_of(os.fstat(fd)) != file.signature:
            os.close(fd)
            self._known.pop(file.name, None)
            raise Changed
        return fd


def _read(fd: int, size: int) -> bytes:
    """Up to `size` bytes of a file, fewer at its end."""
    pieces = []
    while size > 0 and (piece := os.read(fd, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
