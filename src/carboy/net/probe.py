"""Whether this process could listen on an address, without listening there.

A server that already listens is not disturbed: no connection is made to it where the system shows
its sockets in /proc.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from carboy.net.listener import AddressInUse, holder_of_path, holder_of_port, resolve
from carboy.unix_path import check_length

LISTENING = 1 << 16  # the flag __SO_ACCEPTCON in /proc/net/unix
SOCKETS = Path("/proc/net/unix")


def probe_tcp(host: str, port: int) -> None:
    """Bind to a TCP address and let go of it. Raises what `listen_tcp` would raise."""
    both = not host and socket.has_dualstack_ipv6()
    family, address = resolve("::" if both else host or "0.0.0.0", port)
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        try:
            sock.bind(address)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise AddressInUse(f"{host}:{port}", holder_of_port(port)) from None
            raise


def probe_unix(path: str) -> None:
    """Look at the file of a unix socket and its folder. Raises what `listen_unix` would raise."""
    check_length(path)
    folder = Path(path).parent
    folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"this user may not create files in {folder}")
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, f"{path} exists and is not a socket. Remove it")
    if is_listening(path):
        raise AddressInUse(path, holder_of_path(path))


def is_listening(path: str) -> bool:
    """Whether a process listens on a unix socket."""
    try:
        rows = [line.split() for line in SOCKETS.read_text().splitlines()[1:]]
    except OSError:
        return _answers(path)
    # Num RefCount Protocol Flags Type St Inode Path
    return any(len(row) > 7 and row[7] == path and int(row[3], 16) & LISTENING for row in rows)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(path)
        except TimeoutError:
            return True  # its queue is full
        except OSError:
            return False
    return True


def probe_descriptor(fd: int) -> None:
    """Raise ValueError unless a descriptor is a listening socket. Its flags stay unchanged."""
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            listening = sock.type == socket.SOCK_STREAM and (
                not hasattr(socket, "SO_ACCEPTCONN")
                or bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            )
    except OSError as problem:
        raise ValueError(
            f"Descriptor {fd} is not a socket: {problem.strerror}. Pass a listening socket."
        ) from None
    if not listening:
        raise ValueError(
            f"Descriptor {fd} is not a listening stream socket. Bind and listen before passing it."
        )
