"""The folder that keeps the list of requests while `carboy dev` runs.

A program that is killed leaves its folder, with bodies and cookies of its requests, so the next
`carboy dev` of the same user removes it. The processes of a program share a lock on their folder,
which the kernel releases when the last of them has ended.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

fcntl: Any = None
try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and nothing is removed
    pass

PREFIX = "carboy-dev-requests-"


def make() -> tuple[Path, Callable[[], object]]:
    """A new folder, and a function that removes it."""
    _remove_left_behind()
    while True:
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        path = Path(folder.name)
        if fcntl is None:
            return path, folder.cleanup
        lock = _locked(path)
        if lock is not None:
            break
        folder.cleanup()  # another program took it for one that was left behind

    def remove() -> None:
        folder.cleanup()
        os.close(lock)

    return path, remove


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock on a folder; None if another one holds it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None  # it has gone
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except OSError:
        pass  # in use, or gone meanwhile
    os.close(lock)
    return None


def _remove_left_behind() -> None:
    """Remove the folders of this user whose programs were killed."""
    if fcntl is None:
        return
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and _is_ours(entry):
                lock = _locked(Path(entry.path))
                if lock is not None:
                    shutil.rmtree(entry.path, ignore_errors=True)
                    os.close(lock)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False  # it has gone
