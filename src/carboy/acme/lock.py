"""A lock between the processes of one machine, held as long as its process wants and lives."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # not available on Windows
    import fcntl

_held: set[str] = set()  # of this process, which the kernel's locks do not keep from itself
_held_lock = threading.Lock()


class FileLock:
    """A lock on a file, which stays when the lock is free.

    The locks of POSIX belong to a process. Those of flock(2) would be inherited by a process that
    an application starts with fork, and be held as long as that one lives. The kernel frees a POSIX
    lock when its process closes the file, so no other code opens it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> bool:
        """Whether this object holds the lock now. Does not wait. Raises OSError."""
        if self._descriptor is not None:
            return True
        with _held_lock:
            if str(self._file) in _held:
                return False
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if fcntl is not None:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # POSIX allows EACCES for EAGAIN
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            _held.add(str(self._file))
            return True

    def release(self) -> None:
        """Free the lock, if it is held."""
        with _held_lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
                _held.discard(str(self._file))
