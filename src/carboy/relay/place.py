"""Where the relay of a server is found: the path of its socket.

    RELAY in the environment   set by a server for its workers and their child processes
    --channels-socket          chosen by the user, for the server and for scripts
    otherwise                  a socket in a folder of the user, whose name has a digest of the
                               project's folder and the process id of the server

The folder can be used by its owner only (0700), and so can the socket (0600). Several servers of
one project have several sockets, and a script has to choose one of them.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from carboy.relay.client import RelayError, connect

RELAY = "CARBOY_RELAY"
NONE = "none"  # instead of a path: the server has no relay, because it could not make the socket
CHOSEN = "CARBOY_CHANNELS_SOCKET"
ASK = 2.0  # seconds for a server to accept a connection


def project() -> Path:
    """The folder of the project: the nearest one with a pyproject.toml, or the current one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    return here


def folder() -> Path:
    """The folder of the sockets. Makes it; raises RelayError if another user could change it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid()
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        found = Path(runtime) / "carboy"
    else:
        found = Path(tempfile.gettempdir()) / f"carboy-{user}"
    found.mkdir(mode=0o700, exist_ok=True)
    state = found.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != user or state.st_mode & 0o077:
        raise RelayError(
            f"{found} is not a folder that only this user can use. Remove it, or choose a"
            " --channels-socket."
        )
    return found


def _tidied(folder: Path) -> Path:
    """The folder, without the files of servers that were killed.

    A process of another container may seem to be dead, so its socket has to refuse connections too.
    """
    for path in folder.glob("*-*.sock"):
        number = path.stem.rpartition("-")[2]
        if number.isdecimal() and not _runs(int(number)) and not _answers(str(path)):
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


def _digest() -> str:
    return hashlib.sha256(os.fsencode(project())).hexdigest()[:16]


def listen(chosen: str | None) -> socket.socket:
    """A listening socket for a relay. Raises OSError or RelayError.

    A socket file that a server has left behind is replaced; one that is in use is not.
    """
    path = chosen or str(_tidied(folder()) / f"{_digest()}-{os.getpid()}.sock")
    if _answers(path):
        raise RelayError(
            f"Another server uses the socket {path}. Choose another --channels-socket."
        )
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


def find() -> str:
    """The path of the relay that this process belongs to, or of the project's only server.

    Raises RelayError if no server runs, or several do.
    """
    given = os.environ.get(RELAY) or os.environ.get(CHOSEN)
    if given == NONE:
        raise RelayError(
            "This server has no channels, because their socket could not be made when it started."
            " Look at its log, and start it again."
        )
    if given:
        return given
    paths = map(str, sorted(folder().glob(f"{_digest()}-*.sock")))
    found = [path for path in paths if _answers(path)]
    if not found:
        raise RelayError(
            f"No Carboy server runs for {project()}. Start it, run this in the server's folder, or"
            f" set {CHOSEN} to the path that the server has as --channels-socket."
        )
    if len(found) > 1:
        raise RelayError(
            f"{len(found)} Carboy servers run for {project()}: {', '.join(found)}. Set {CHOSEN} to"
            " the socket of the one that you mean."
        )
    return found[0]


def _answers(path: str) -> bool:
    try:
        connect(path, ASK).close()
    except BlockingIOError:
        return True  # its queue is full
    except OSError:
        return False
    return True
