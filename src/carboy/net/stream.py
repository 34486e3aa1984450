"""The methods of a connection's socket that the engine uses, and sending files through it.

A plain socket is a `Stream`, and so is a TLS connection (net/tls.py).
"""

from __future__ import annotations

import os
import stat
from typing import Any, Protocol

STEP = 1024 * 1024  # bytes a call: a fast reader of a large file must not occupy the engine


class WantsWrite(BlockingIOError):
    """TLS has to send before it can receive: wait until the socket takes bytes."""


class Stream(Protocol):
    """A non-blocking stream of bytes. Methods raise BlockingIOError instead of waiting."""

    def fileno(self) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: Any, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...

    def close(self) -> None: ...


def regular_file(file: Any) -> int | None:
    """The descriptor of a regular file, which the kernel can send; None for other objects."""
    try:
        fd = file.fileno()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return int(fd)
    except (AttributeError, OSError, ValueError):
        pass
    return None


def bytes_left(fd: int, offset: int, count: int | None) -> int:
    """Number of bytes from `offset` to the end of the file, at most `count`."""
    there = max(0, os.fstat(fd).st_size - offset)
    return there if count is None else min(there, count)


def can_sendfile() -> bool:
    """Whether the system can send a file to a non-blocking socket in one call."""
    return hasattr(os, "sendfile")


def send_part(sock: Stream, fd: int, offset: int, count: int, by_kernel: bool) -> int:
    """Send up to `count` bytes of `fd` from `offset`; returns how many, 0 at the end of the file.

    Raises BlockingIOError when the socket is full and OSError when it is broken.
    """
    count = min(count, STEP)
    if by_kernel:
        return os.sendfile(sock.fileno(), fd, offset, count)
    return sock.send(os.pread(fd, min(count, STEP // 8), offset))
