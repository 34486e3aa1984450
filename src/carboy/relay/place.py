"""Where the relay of a server is found: the path of its socket.

    RELAY in the environment   set by a server for its workers and their child processes
    --channels-socket          chosen by the user, for the server and for scripts
    otherwise                  a socket in the folder of the user (carboy.user_sockets)

Several servers of one project have several sockets, and a script has to choose one of them.
"""

from __future__ import annotations

import os
import socket

from carboy import user_sockets

RELAY = "CARBOY_RELAY"
NONE = "none"  # instead of a path: the server has no relay, because it could not make the socket
CHOSEN = "CARBOY_CHANNELS_SOCKET"
SUFFIX = ".sock"


class RelayError(ConnectionError):
    """The relay cannot be reached, or refuses a request."""


def listen(chosen: str | None) -> socket.socket:
    """A listening socket for a relay. Raises OSError or RelayError."""
    try:
        path = chosen or str(user_sockets.own_path(SUFFIX))
        return user_sockets.listen(path)
    except user_sockets.SocketInUse as problem:
        raise RelayError(f"{problem} Choose another --channels-socket.") from None
    except user_sockets.FolderError as problem:
        raise RelayError(f"{problem} Remove it, or choose a --channels-socket.") from None


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
    try:
        folder = user_sockets.folder()
    except user_sockets.FolderError as problem:
        raise RelayError(f"{problem} Remove it, or set {CHOSEN}.") from None
    paths = map(str, sorted(folder.glob(f"{user_sockets.digest()}-*{SUFFIX}")))
    found = [path for path in paths if user_sockets.answers(path)]
    if not found:
        raise RelayError(
            f"No Carboy server runs for {user_sockets.project()}. Start it, run this in the"
            f" server's folder, or set {CHOSEN} to the path that the server has as"
            " --channels-socket."
        )
    if len(found) > 1:
        raise RelayError(
            f"{len(found)} Carboy servers run for {user_sockets.project()}: {', '.join(found)}. Set"
            f" {CHOSEN} to the socket of the one that you mean."
        )
    return found[0]
