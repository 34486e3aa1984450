"""Sockets that systemd has passed: those of socket units, and those it has kept for this server.

    FDSTORE=1  FDNAME=carboy.…  and the descriptor ──▶ systemd keeps it while the service restarts
    LISTEN_FDS, LISTEN_FDNAMES ◀── at the next start, with the sockets of socket units

systemd keeps descriptors if the unit has FileDescriptorStoreMax=, which it says in the variable
FDSTORE. So no client is refused during a restart, without a socket unit. A socket that was kept is
used if the server is to listen at its address; otherwise systemd is told to close it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from carboy.net.listener import Listener, resolve
from carboy.server import systemd

log = logging.getLogger("carboy.error")

PREFIX = "carboy."  # of the names of sockets that a server has had kept
LONGEST_NAME = 255  # characters (sd_pid_notify_with_fds(3))


class PassedSockets:
    """The sockets, each with its name."""

    def __init__(self, sockets: Iterable[tuple[str, socket.socket]] = ()) -> None:
        self._kept: dict[str, Listener] = {}
        self._units: list[tuple[str, socket.socket]] = []  # of socket units
        for name, sock in sockets:
            if name.startswith(PREFIX):
                self._kept[name] = _listener(sock)
            else:
                self._units.append((name, sock))

    def take_units(self) -> list[socket.socket]:
        """The sockets of socket units."""
        units, self._units = self._units, []
        return [sock for _, sock in units]

    def named(self, wanted: str) -> list[socket.socket]:
        """The sockets of units with this name. Raises ValueError if there is none."""
        found = [sock for name, sock in self._units if name == wanted]
        if not found:
            names = ", ".join(dict.fromkeys(name for name, _ in self._units))
            passed = f"Those that it has passed are {names}." if names else "It has passed none."
            raise ValueError(
                f"There is no socket with the name {wanted!r} from systemd. {passed} Set"
                " FileDescriptorName= in the socket unit, or correct --bind."
            )
        self._units = [(name, sock) for name, sock in self._units if name != wanted]
        return found

    def kept_at_path(self, path: str) -> list[socket.socket]:
        """The unix socket that was kept, if clients would find it at this path."""
        # Its file may be gone, with a RuntimeDirectory= that the restart has emptied.
        return self._take(lambda sock: sock.getsockname() == path and Path(path).is_socket())

    def kept_at_port(self, host: str, port: int) -> list[socket.socket]:
        """The socket that was kept for a host, "" for all addresses, and a port."""
        return self._take(lambda sock: bool(port) and _listens_at(sock, host, port))

    def _take(self, fits: Callable[[Listener], bool]) -> list[socket.socket]:
        for name, sock in self._kept.items():
            if fits(sock):
                del self._kept[name]
                return [sock]
        return []

    def forget_rest(self) -> None:
        """Have systemd close the sockets at addresses where the server no longer listens."""
        for name, sock in self._kept.items():
            log.info("The socket %s of the last run is closed.", name.removeprefix(PREFIX))
            systemd.notify(f"FDSTOREREMOVE=1\nFDNAME={name}")
            sock.stored = False
            sock.remove_file()
            sock.close()
        self._kept.clear()
        for _, unused in self._units:
            unused.close()  # systemd has it as well


def _listener(sock: socket.socket) -> Listener:
    listener = Listener(fileno=sock.detach())
    listener.setblocking(False)
    listener.stored = True
    if listener.family == getattr(socket, "AF_UNIX", None):
        listener.note_file(os.fsdecode(listener.getsockname()))
    return listener


def _listens_at(sock: Listener, host: str, port: int) -> bool:
    """Whether a new socket for the address would have the place of this one."""
    name = sock.getsockname()
    if not isinstance(name, tuple) or name[1] != port:
        return False
    if not host and socket.has_dualstack_ipv6():
        both = name[0] == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return bool(both)
    try:
        return bool(resolve(host or "0.0.0.0", port)[1][0] == name[0])
    except OSError:
        return False


def store(sockets: Sequence[socket.socket]) -> None:
    """Have systemd keep the sockets that this program has bound, if it keeps descriptors."""
    most = systemd.stored_descriptors()
    for sock in sockets:
        if most <= 0 or not isinstance(sock, Listener):
            continue
        name = sock.getsockname()
        shown = name if isinstance(name, str) else f"{name[0]}:{name[1]}"
        text = f"FDSTORE=1\nFDNAME={(PREFIX + quote(shown, safe='/'))[:LONGEST_NAME]}\nFDPOLL=0"
        if systemd.notify(text, [sock.fileno()]):
            sock.stored = True
            most -= 1
