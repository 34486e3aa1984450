"""A part of a file as pieces of bytes, where the kernel does not send it."""

from __future__ import annotations

import os
from collections.abc import Iterator

BLOCK = 64 * 1024  # bytes of a piece


def blocks(fd: int, offset: int, count: int) -> Iterator[bytes]:
    """Up to `count` bytes of a file from `offset`, fewer at its end. The position stays."""
    while count > 0 and (data := os.pread(fd, min(count, BLOCK), offset)):
        yield data
        offset += len(data)
        count -= len(data)
