"""Unix sockets that a server makes for its own user, in a folder where commands find them.

The folder can be used by its owner only (0700), and so can the sockets (0600). The name of a socket
has a digest of the project's folder and the process id of the server, so that commands in the
folder of a project find the servers of the project.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from carboy.late import tempfile
from carboy.unix_path import check_length

try:  # hashlib loads OpenSSL, which is 4 MB of each process of a server
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

ASK = 2.0  # seconds for a server to accept a connection


class FolderError(OSError):
    """Another user could change the folder of the sockets; the text says which folder it is."""


class SocketInUse(OSError):
    """Another server uses the socket."""


def project() -> Path:
    """The folder of the project: the nearest one with a pyproject.toml, or the current one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    return here


def digest() -> str:
    """The beginning of the names of the sockets of this project."""
    return blake2b(os.fsencode(project()), digest_size=8).hexdigest()


def _temporary() -> Path:
    """The folder of tempfile.gettempdir(); the usual one without the 0.6 MB of its modules."""
    chosen = "tempfile" in sys.modules or not {"TMPDIR", "TEMP", "TMP"}.isdisjoint(os.environ)
    if not chosen and os.access("/tmp", os.W_OK | os.X_OK):
        return Path("/tmp")
    return Path(tempfile.gettempdir())


def folder() -> Path:
    """The folder of the sockets. Makes it; raises FolderError if another user could change it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid()
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        found = Path(runtime) / "carboy"
    else:
        found = _temporary() / f"carboy-{user}"
    found.mkdir(mode=0o700, exist_ok=True)
    state = found.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != user or state.st_mode & 0o077:
        raise FolderError(f"{found} is not a folder that only this user can use.")
    return found


def folders() -> Iterator[Path]:
    """Where a server of this user may have its sockets: a service has other variables than a shell.

    Only folders that exist and that no other user can change.
    """
    user = os.getuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    for found in (Path(runtime) / "carboy", _temporary() / f"carboy-{user}"):
        try:
            state = found.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(state.st_mode) and state.st_uid == user and not state.st_mode & 0o077:
            yield found


def own_path(suffix: str) -> Path:
    """The path for a socket of this process, after the sockets of dead servers were removed."""
    return _tidied(folder(), suffix) / f"{digest()}-{os.getpid()}{suffix}"


def _tidied(folder: Path, suffix: str) -> Path:
    """The folder, without the files of servers that were killed.

    A process of another container may seem to be dead, so its socket has to refuse connections too.
    """
    for path in folder.glob(f"*-*{suffix}"):
        number = path.stem.rpartition("-")[2]
        if number.isdecimal() and not _runs(int(number)) and not answers(str(path)):
            path.unlink(missing_ok=True)
    return folder


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def listen(path: str) -> socket.socket:
    """A listening socket that only this user can connect to. Raises OSError or SocketInUse.

    A socket file that a server has left behind is replaced; one that is in use is not.
    """
    check_length(path)
    if answers(path):
        raise SocketInUse(f"Another server uses the socket {path}.")
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            Path(path).unlink()
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: str, timeout: float | None) -> socket.socket:
    """A connection to the socket at `path`. Raises OSError."""
    check_length(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def answers(path: str) -> bool:
    """Whether a server accepts connections at `path`."""
    try:
        connect(path, ASK).close()
    except BlockingIOError:
        return True  # its queue is full
    except OSError:
        return False
    return True
