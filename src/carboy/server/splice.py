"""Moves bytes from a socket into a file without a copy in this process (Linux, splice(2)).

The bytes pass through a pipe, which is empty between two moves. One thread uses a Splice at a time:
the leader.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl

# Bytes moved at a time, if the system permits a pipe of this size; the default is 64 KiB.
SIZE = 1024 * 1024

available = hasattr(os, "splice") and fcntl is not None


class Splice:
    """A pipe that is filled from a socket and emptied into a file."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None
        self._file_system_can = True

    def fill(self, sock: int, most: int) -> int:
        """Receive at most `most` bytes; returns how many, 0 at the end of the stream.

        Raises BlockingIOError if there are none yet, and OSError if the client has gone.
        """
        _, end = self._ends = self._ends or _pipe()
        return os.splice(sock, end, min(most, SIZE), flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)

    def empty(self, file: io.FileIO, count: int) -> None:
        """Write the `count` bytes that `fill` has received. Raises OSError when the disk is full.

        The bytes that were not written are lost then.
        """
        if self._ends is None:
            raise RuntimeError("The pipe was not filled.")
        end, _ = self._ends
        try:
            while count:
                count -= self._move(end, file, count)
        except BaseException:
            self.close()
            raise

    def _move(self, end: int, file: io.FileIO, count: int) -> int:
        if self._file_system_can:
            try:
                return os.splice(end, file.fileno(), count)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            self._file_system_can = False
        data = memoryview(os.read(end, count))
        left = data
        while left:
            left = left[file.write(left) or 0 :]
        return len(data)

    def close(self) -> None:
        """Close the pipe, with what is in it. The next `fill` makes another one."""
        ends, self._ends = self._ends, None
        for end in ends or ():
            os.close(end)


def _pipe() -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, SIZE)
    except OSError:
        pass  # more than a user may have: the pipe keeps its size
    return ends
