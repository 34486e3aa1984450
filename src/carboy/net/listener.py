"""Listening sockets: TCP, IPv6, unix, and those inherited from a parent process.

A listener that this program has bound is closed without losing a client. A connection that the
kernel has completed waits in the listener's queue, and closing the listener resets it. So new
connections are refused first, then the queue is emptied, then the socket is closed:

    refuse() ──▶ accept() until the queue is empty ──▶ end(), for every process that has the socket
"""

from __future__ import annotations

import array
import errno
import os
import socket
import stat
import struct
import sys
from pathlib import Path

from carboy.net.poller import is_ready
from carboy.unix_path import check_length

BACKLOG = 2048
# TCP keep-alive: a client whose machine or network is gone cannot close its connection. The kernel
# notices after 60 + 4 * 15 seconds; its own default of two hours is too long for a server.
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
SYN = 0x02
TCP_FLAGS = 13  # offset in the TCP header (RFC 9293, section 3.1)
# (code, jump if true, jump if false, operand): drop segments with SYN, let all others in.
DROP_SYN = (
    (0x30, 0, 0, TCP_FLAGS),  # load a byte
    (0x45, 0, 1, SYN),  # any of these bits?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # accept
)
LINUX = sys.platform.startswith("linux")


class AddressInUse(OSError):
    """Another program listens at `address`; `holder` names it where /proc shows it."""

    def __init__(self, address: str, holder: str | None) -> None:
        by = f" by {holder}" if holder else ""
        super().__init__(
            errno.EADDRINUSE,
            f"{address} is already in use{by}. Stop that program or use another address.",
        )
        self.address = address
        self.holder = holder

    def __str__(self) -> str:
        return str(self.strerror)


class Listener(socket.socket):
    """A listening socket that this program bound. Inherited sockets are plain `socket` objects."""

    path: str | None = None  # of the file of a unix socket
    file: tuple[int, int] | None = None  # device and inode of that file
    redirects = False  # it speaks plain HTTP, and its clients are sent to HTTPS
    # systemd keeps the socket over a restart of the service: connections that wait in its queue are
    # for the next server, so it is neither shut down nor is its file removed.
    stored = False

    def note_file(self, path: str) -> None:
        """Remember the file of the socket; call this right after binding to `path`."""
        try:
            found = Path(path).stat()
        except OSError:
            return  # an abstract socket, or the file is removed already
        self.path = str(Path(path).absolute())
        self.file = (found.st_dev, found.st_ino)

    def remove_file(self) -> None:
        """Unlink the file of a unix socket, unless another server has replaced it.

        Call this before the socket is closed: until then no other file can have the same inode.
        """
        if self.path is None or self.stored:
            return
        file = Path(self.path)
        self.path = None
        try:
            found = file.stat()
            if (found.st_dev, found.st_ino) == self.file:
                file.unlink()
        except OSError:
            pass  # gone already, or not ours to remove

    def refuse(self) -> None:
        """Keep new connections out of the queue; those in the queue can still be accepted.

        New TCP clients get no answer until `end`; then their next attempt is refused. Does nothing
        where the system has no way to do it.
        """
        if not LINUX or self.stored:
            return
        try:
            if self.family == socket.AF_UNIX:
                self.shutdown(socket.SHUT_RD)
            else:
                self._drop_new()
        except OSError:
            pass  # closed already

    def _drop_new(self) -> None:
        code = array.array("B", b"".join(struct.pack("HBBI", *each) for each in DROP_SYN))
        program = struct.pack("HP", len(DROP_SYN), code.buffer_info()[0])
        self.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def is_empty(self) -> bool:
        """Whether no connection is waiting to be accepted."""
        try:
            return not is_ready(self.fileno())
        except (OSError, ValueError):
            return True  # closed

    def end(self) -> None:
        """Refuse every new connection from now on, even in other processes that have the socket."""
        if self.stored:
            return
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already, or refused before


def listen_tcp(host: str, port: int, backlog: int = BACKLOG) -> Listener:
    """A listening TCP socket. Port 0 chooses a free port, which `getsockname()` returns.

    An empty host means every address, of IPv6 and IPv4 where the system has both. Raises
    AddressInUse, or OSError for an address that this machine does not have.
    """
    if not host and socket.has_dualstack_ipv6():
        return _bound(socket.AF_INET6, ("::", port), backlog, dualstack=True)
    family, address = resolve(host or "0.0.0.0", port)
    return _bound(family, address, backlog)


def resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    """Family and address to bind to. Raises socket.gaierror for an unknown name."""
    try:
        # Of bytes: for text, Python loads the codec of IDNA and its tables.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except ValueError:  # with a NUL, or an empty or overlong label (UnicodeError)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    # IPv4 first where a name has both, such as "localhost": other tools try it first.
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, address


def _bound(
    family: int, address: tuple[object, ...], backlog: int, dualstack: bool = False
) -> Listener:
    sock = Listener(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dualstack else 1)
        # Accepted connections inherit it on Linux, which saves a call for each; the engine
        # sets it elsewhere.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(sock)
        sock.bind(address)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            host, port = str(address[0]), int(str(address[1]))
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise AddressInUse(shown, holder_of_port(port)) from None
        raise
    sock.setblocking(False)
    return sock


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel check whether silent peers are still there.

    Connections inherit this from their listener. Times that are already set, such as systemd's
    KeepAliveTimeSec=, are kept.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if hasattr(socket, name):  # KEEPIDLE on Linux, KEEPALIVE on macOS
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        pass  # the system does not have it


def listen_unix(
    path: str, mode: int | None = None, backlog: int = BACKLOG, group: int | None = None
) -> Listener:
    """A listening unix socket at `path`, with permission bits `mode` and the number of a `group`.

    Replaces the socket file of a server that is gone. Raises AddressInUse if a server answers
    there, FileExistsError for a file that is not a socket, and PathTooLong.
    """
    check_length(path)
    _clear_stale(path)
    sock = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Between bind and chmod, the file must not have wider permissions.
        before = os.umask(0o777 & ~mode) if mode is not None else None
        try:
            sock.bind(path)
        finally:
            if before is not None:
                os.umask(before)
        sock.note_file(path)
        if group is not None:
            os.chown(path, -1, group)
        if mode is not None:
            Path(path).chmod(mode)
        sock.listen(backlog)
    except OSError:
        if sock.getsockname():
            Path(path).unlink(missing_ok=True)
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _clear_stale(path: str) -> None:
    file = Path(path)
    try:
        kind = file.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(
            errno.EEXIST, f"{path} exists and is not a socket. Remove it or use another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            file.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except TimeoutError:
            pass  # its queue is full: the server is running
    raise AddressInUse(path, holder_of_path(path))


def adopt(fd: int) -> socket.socket:
    """The listening socket with an inherited descriptor (--fd, systemd's LISTEN_FDS).

    Raises ValueError with the reason when the descriptor is not a listening stream socket.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ValueError(
            f"Descriptor {fd} is not a socket: {error.strerror}. Pass a listening socket."
        ) from None
    if sock.type != socket.SOCK_STREAM or not _is_listening(sock):
        sock.detach()
        raise ValueError(
            f"Descriptor {fd} is not a listening stream socket. Bind and listen before passing it."
        )
    sock.setblocking(False)
    sock.set_inheritable(False)
    keep_alive(sock)
    return sock


def _is_listening(sock: socket.socket) -> bool:
    if not hasattr(socket, "SO_ACCEPTCONN"):
        return True
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return True  # macOS has the option, but not for every socket


def systemd_sockets() -> list[tuple[str, socket.socket]]:
    """The sockets that systemd passed to this process (sd_listen_fds_with_names(3)).

    Each has a name, "unknown" if there are no names. Raises ValueError for a descriptor that is not
    a listening socket.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (count - len(names))
    return [(name or "unknown", adopt(3 + at)) for at, name in enumerate(names[:count])]


def holder_of_port(port: int) -> str | None:
    """The process that listens on a TCP port, as "name (pid 123)"; None if /proc does not say."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for columns in _table(table):
            # sl local_address rem_address st …  inode; state 0A is LISTEN
            if len(columns) > 9 and columns[3] == "0A" and columns[1].endswith(f":{port:04X}"):
                inodes.add(columns[9])
    return _holder(inodes)


def holder_of_path(path: str) -> str | None:
    """The process that has the unix socket at `path`; None if /proc does not say."""
    # Num RefCount Protocol Flags Type St Inode Path
    return _holder({c[6] for c in _table("/proc/net/unix") if len(c) > 7 and c[7] == path})


def _table(path: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(path).read_text().splitlines()[1:]]
    except OSError:
        return []


def _holder(inodes: set[str]) -> str | None:
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for link in (process / "fd").iterdir():
                if str(link.readlink()) in wanted:
                    name = (process / "comm").read_text().strip()
                    return f"{name} (pid {process.name})"
        except OSError:
            continue  # of another user, or gone meanwhile
    return None
