"""Descriptors that whole lines are written to: a terminal, a pipe, a socket or a file.

Lines bypass the buffers of sys.stdout: a thread that never returns from a write would hold the
buffer's lock, and the interpreter could not exit.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from typing import Any

NEWLINE = 0x0A
FILE_PIECE = 64 * 1024  # bytes of one write to a file; a pipe gets PIPE_BUF, see Output.piece
NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)  # Linux: flag of a single write that does not wait
CHECK_INTERVAL = 1.0  # seconds between checks whether a log file was moved away
STANDARD = {"stdout": "standard output", "stderr": "standard error"}

# The kernel's errors for descriptors that it cannot write to without waiting.
UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE}


class Unwritten(Exception):
    """An output did not take all bytes: how many it took, and the reason."""

    def __init__(self, written: int, problem: Exception) -> None:
        super().__init__(written, problem)
        self.written = written
        self.reason = getattr(problem, "strerror", None) or str(problem)


class Output:
    """A descriptor to write whole lines to. It may be full, stalled or closed.

    One thread writes at a time. A thread that must not wait may call `write_now` meanwhile.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._file = _is_file(fd)
        # Several workers share the output. A pipe takes up to PIPE_BUF bytes in one piece.
        self.piece = FILE_PIECE if self._file else getattr(select, "PIPE_BUF", 512)
        # The last write ended within a line because the output took no more. The next write ends
        # that line first, or two lines would become one.
        self._torn = False
        self._nowait = bool(NOWAIT) and not self._file
        self._spare = -1  # the same pipe or terminal, opened again as non-blocking

    def write(self, data: bytes) -> None:
        """Write everything, however long that takes. Raises Unwritten when it is impossible."""
        whole = b"\n" + data if self._torn else data
        rest = memoryview(whole)
        while rest:
            try:
                rest = rest[os.write(self.fd, rest) :]
            except BlockingIOError:  # another program made the terminal non-blocking
                select.select([], [self.fd], [])
            except (OSError, ValueError) as problem:
                done = len(whole) - len(rest)
                if done:
                    self._torn = whole[done - 1] != NEWLINE
                raise Unwritten(max(0, done + len(data) - len(whole)), problem) from None
        self._torn = False

    def write_now(self, data: bytes) -> int:
        """Write what can be written without waiting; returns how many bytes. Unwritten on an error.

        A file is always written. Pass at most a `piece`: a pipe takes it completely or not at all.
        """
        if self._file:
            self.write(data)
            return len(data)
        try:
            return self._write_now(data)
        except BlockingIOError:
            return 0
        except (OSError, ValueError) as problem:
            raise Unwritten(0, problem) from None

    def _write_now(self, data: bytes) -> int:
        if self._nowait:
            try:
                return os.pwritev(self.fd, [data], -1, NOWAIT)
            except OSError as problem:
                if problem.errno not in UNSUPPORTED:
                    raise
                self._nowait = False
        if self._reopened():
            return os.write(self._spare, data)
        # Another process may fill the pipe between the two calls. Then this thread waits; other
        # threads find that a write is in progress and do not wait.
        if not select.select([], [self.fd], [], 0)[1]:
            return 0
        return os.write(self.fd, data[: self.piece])

    def _reopened(self) -> bool:
        """Whether `_spare` is a non-blocking descriptor of the same terminal or pipe.

        Setting `fd` itself to non-blocking would also affect the processes that share it.
        """
        there = os.fstat(self.fd)
        if self._spare >= 0 and os.path.samestat(os.fstat(self._spare), there):
            return True
        if not (stat.S_ISCHR(there.st_mode) or stat.S_ISFIFO(there.st_mode)):
            return False
        if not sys.platform.startswith("linux"):
            return False  # elsewhere, opening it may give the file description that others share
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            fresh = os.open(f"/proc/self/fd/{self.fd}", flags)
        except OSError:
            return False
        if self._spare >= 0:  # `fd` was redirected meanwhile
            os.dup2(fresh, self._spare, inheritable=False)
            os.close(fresh)
        else:
            self._spare = fresh
        return True

    def write_within(self, data: bytes, seconds: float) -> int:
        """Write for at most this many seconds; returns how many bytes were written."""
        end = time.monotonic() + seconds
        done = 0
        try:
            while done < len(data):
                taken = self.write_now(data[done : done + self.piece])
                done += taken
                left = end - time.monotonic()
                if not taken and (left <= 0 or not select.select([], [self.fd], [], left)[1]):
                    break
        except (Unwritten, OSError, ValueError):
            pass
        return done

    def refresh(self) -> None:
        """Called before lines are written. A log file checks whether it was moved away."""

    def reopen(self) -> None:
        """Have the next `refresh` check at once; from any thread, even in a signal handler."""

    def close(self) -> None:
        """Close the descriptors that were opened here."""
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)

    def is_terminal(self) -> bool:
        """Whether the output is a terminal."""
        try:
            return os.isatty(self.fd)
        except OSError:
            return False


class LogFile(Output):
    """A file that lines are appended to. It is opened again after it was moved away or removed."""

    def __init__(self, path: str) -> None:
        super().__init__(_open(path))
        self.path = path
        self._checked = time.monotonic()

    def write(self, data: bytes) -> None:
        """As `Output.write`, but ends a line first that another worker could not finish."""
        if not self._torn and self._ends_within_a_line():
            self._torn = True
        super().write(data)

    def _ends_within_a_line(self) -> bool:
        if not self._file:
            return False
        try:
            size = os.fstat(self.fd).st_size
            return size > 0 and os.pread(self.fd, 1, size - 1) not in (b"\n", b"")
        except OSError:  # we may write the file but not read it
            return False

    def reopen(self) -> None:
        self._checked = float("-inf")

    def refresh(self) -> None:
        """Open the file again if `path` is another file now. OSError when it cannot be opened."""
        now = time.monotonic()
        if now - self._checked <= CHECK_INTERVAL:
            return
        self._checked = now
        try:
            if os.path.samestat(os.stat(self.path), os.fstat(self.fd)):  # noqa: PTH116
                return
        except FileNotFoundError:
            pass
        fresh = _open(self.path)
        os.dup2(fresh, self.fd, inheritable=False)
        os.close(fresh)
        self._file = _is_file(self.fd)
        self._torn = False

    def close(self) -> None:
        super().close()
        os.close(self.fd)


def _open(path: str) -> int:
    flags = os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    # Also for reading where that is allowed, to see how the file ends. Not for a FIFO: writes
    # would not fail after its reader has gone.
    if not os.path.exists(path) or os.path.isfile(path):  # noqa: PTH110, PTH113
        try:
            return os.open(path, flags | os.O_RDWR, 0o644)
        except PermissionError:
            pass
    return os.open(path, flags | os.O_WRONLY, 0o644)


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def standard(stream: Any, fd: int) -> Output:
    """The descriptor of sys.stdout or sys.stderr, or `fd` while they are replaced.

    A process may be started with one of them closed. The number is then used by the next file
    that is opened, which can be a client's connection. Lines are discarded in that case.
    """
    try:
        return Output(stream.fileno())
    except (AttributeError, OSError, ValueError):
        original = sys.__stdout__ if fd == 1 else sys.__stderr__
        return Output(os.open(os.devnull, os.O_WRONLY) if original is None else fd)


def colours_wanted(output: Output) -> bool:
    """Whether to use colours: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return output.is_terminal() and not os.environ.get("NO_COLOR")
