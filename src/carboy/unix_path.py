"""The length of the path of a unix socket, which the system limits (unix(7))."""

from __future__ import annotations

import errno
import os
import sys

# Bytes of sun_path, without the NUL at its end
LONGEST = 107 if sys.platform.startswith("linux") else 103


class PathTooLong(OSError):
    """A path is too long for a unix socket; the text says how long it may be."""

    def __init__(self, length: int) -> None:
        super().__init__(
            errno.ENAMETOOLONG,
            f"The path has {length} bytes, and the path of a unix socket may have {LONGEST}",
        )


def check_length(path: str) -> None:
    """Raise PathTooLong if no socket can have this path."""
    length = len(os.fsencode(path))
    if length > LONGEST:
        raise PathTooLong(length)
