"""The sockets of the admin server: unix sockets, and addresses with a token."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from carboy import user_sockets
from carboy.net.listener import AddressInUse, listen_tcp
from carboy.relay.socket_file import SocketFile
from carboy.server.admin.place import SUFFIX, TOKEN, Place
from carboy.server.admin.settings import AdminSettings
from carboy.server.admin.token import Token, token_for
from carboy.server.bind import BindError
from carboy.unix_path import PathTooLong

log = logging.getLogger("carboy.error")

NEVER = float("inf")
BACKLOG = 64


class AdminSocket:
    """A listening socket. A unix socket has a file, which is made again if something removes it."""

    def __init__(self, listener: socket.socket, token: Token | None = None) -> None:
        listener.setblocking(False)
        self._listener = listener
        self.token = token
        self.moved: Callable[[AdminSocket], object] = lambda socket: None
        self.file: SocketFile | None = None
        if token is None:
            loss = "`carboy status` does not find this server."
            self.file = SocketFile(listener, self._listen_again, "admin socket", loss)
        name = listener.getsockname()
        self.place = Place(path=name) if token is None else Place(host=name[0], port=name[1])

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        """A connection and its address. Raises OSError."""
        return self._listener.accept()

    def _listen_again(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        before, self._listener = self._listener, listener
        self.moved(self)
        before.close()

    def look(self, now: float) -> float:
        """Make the file again if it is gone; returns when to look next."""
        if self.file is None:
            return NEVER
        self.file.look(now)
        return self.file.look_at

    def close(self) -> None:
        """Close the socket; its file stays, because another process may have it."""
        self._listener.close()

    def remove(self) -> None:
        """Remove the file, at the end of the server."""
        if self.file is not None:
            self.file.remove()


def open_admin(settings: AdminSettings) -> list[AdminSocket]:
    """Listen at all places; raises BindError if one that was asked for cannot be used.

    Without a path among them, a socket in the folder of the user is one as well. A server without
    it serves all the same, and the log says why.
    """
    if not settings.wanted:
        return []
    opened: list[AdminSocket] = []
    try:
        for place in settings.places():
            opened.append(_open(place))
        if hasattr(socket, "AF_UNIX") and not any(each.file for each in opened):
            opened += _open_usual()
    except BaseException:
        close_all(opened)
        raise
    return opened


def close_all(sockets: list[AdminSocket]) -> None:
    """Close the sockets and remove their files."""
    for each in sockets:
        each.remove()
        each.close()


def _open_usual() -> list[AdminSocket]:
    try:
        return [AdminSocket(user_sockets.listen(str(user_sockets.own_path(SUFFIX))))]
    except OSError as problem:
        log.warning(
            "`carboy status` and the other commands do not find this server, because their socket"
            " cannot be made: %s. --admin PATH chooses another place, --admin none means none.",
            str(problem.strerror or problem).rstrip("."),
        )
        return []


def _open(place: Place) -> AdminSocket:
    if place.path and not hasattr(socket, "AF_UNIX"):
        raise BindError(errno.EINVAL, "This system has no unix sockets. Use --admin HOST:PORT.")
    try:
        if place.path:
            return AdminSocket(user_sockets.listen(place.path))
        listener = listen_tcp(place.host, place.port, BACKLOG)
    except user_sockets.SocketInUse:
        text = f"Another server uses the admin socket {place}. Choose another --admin."
        raise BindError(errno.EADDRINUSE, text) from None
    except AddressInUse as problem:
        by = f" by {problem.holder}" if problem.holder else ""
        text = f"The address of --admin, {place}, is in use{by}. Choose another one."
        raise BindError(errno.EADDRINUSE, text) from None
    except OSError as problem:
        raise BindError(problem.errno, trouble(place, problem)) from None
    try:
        return AdminSocket(listener, token_for(listener.getsockname()[1]))
    except (OSError, ValueError) as problem:
        listener.close()
        raise BindError(errno.EACCES, f"--admin {place} has no token: {problem}") from None


def trouble(place: Place, problem: OSError) -> str:
    """The message for an error of the system, other than an address in use."""
    if isinstance(problem, PathTooLong):
        return f"Cannot listen on --admin {place}. {problem.strerror}. Use a shorter path."
    reason = str(problem.strerror or problem).rstrip(".")
    return f"Cannot listen on --admin {place}: {reason}. Choose another one."


def announce(sockets: list[AdminSocket]) -> None:
    """Log the addresses with a port, which may be chosen by the system, and where the token is."""
    for each in sockets:
        if each.token is not None:
            where = each.token.file or f"the variable {TOKEN}"
            log.info("Admin server at %s; the token is in %s.", each.place, where)
