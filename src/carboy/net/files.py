"""Sending an open file through a socket by the kernel, where the kernel can."""

from __future__ import annotations

import os
import stat
from typing import Any

from carboy.net.stream import Stream

STEP = 1024 * 1024  # octets a call: a fast reader of a big file must not keep the engine


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
