"""What the engine asks of a connection's socket, and sending files through it.

A plain socket is a `Stream`, and so is a TLS connection (net/tls.py).
"""

from __future__ import annotations

import os
import stat
from typing import Any, Protocol

STEP = 1024 * 1024  # bytes a call: a fast reader of a large file must not occupy the engine


class WantsWrite(BlockingIOError):
    """Receiving waits until the socket takes octets: TLS has something to say first."""


class Stream(Protocol):
    """A non-blocking stream of octets; BlockingIOError where it would have to wait."""

    def fileno(self) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: Any, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...

    def close(self) -> None: ...


def regular_file(file: Any) -> int | None:
    """The descriptor of `file` when it is a regular file the kernel can send; else None."""
    try:
        fd = file.fileno()
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return int(fd)
    except (AttributeError, OSError, ValueError):
        pass
    return None


def octets_left(fd: int, offset: int, count: int | None) -> int:
    """How many octets there are from `offset`, at most `count`."""
    there = max(0, os.fstat(fd).st_size - offset)
    return there if count is None else min(there, count)


def can_sendfile() -> bool:
    """Whether this system sends files to non-blocking sockets by one call."""
    return hasattr(os, "sendfile")


def send_part(sock: Stream, fd: int, offset: int, count: int, by_kernel: bool) -> int:
    """Send up to `count` octets of `fd` from `offset`; gives how many, 0 at the file's end.

    Raises BlockingIOError when the socket is full and OSError when it is broken.
    """
    count = min(count, STEP)
    if by_kernel:
        return os.sendfile(sock.fileno(), fd, offset, count)
    return sock.send(os.pread(fd, min(count, STEP // 8), offset))
