"""Addresses as users write them, the sockets that listen there, and errors that say what to do.

host:port   [::1]:8000   :8000   unix:/path   unix:///path   fd://3   fd://NAME
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from carboy.net import (
    AddressInUse,
    Listener,
    adopt,
    listen_tcp,
    listen_unix,
    resolve,
    systemd_sockets,
)
from carboy.server.dataclass import dataclass
from carboy.server.passed_sockets import PassedSockets

ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]{1,5})")
FD_NAME = re.compile(r"[!-.0-9;-~]{1,255}")  # sd_listen_fds(3): printable ASCII without ":"; no "/"

# Environment variable: the sockets that a process keeps when it replaces itself by exec (SIGHUP
# without a supervisor). For each, the descriptor, then "=" if this program has bound the socket,
# then device:inode of the file of a unix socket, or "redirects" (--redirect-http).
KEPT_FDS = "CARBOY_KEPT_FDS"
REDIRECTS = "redirects"


class BindError(OSError):
    """The server cannot listen on an address. The text says why and what to do."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(code, text)

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on. Exactly one of port, path, fd and fd_name is set."""

    host: str = ""
    port: int | None = None
    path: str | None = None
    fd: int | None = None
    fd_name: str | None = None  # of sockets that systemd passes (FileDescriptorName=)

    def __str__(self) -> str:
        if self.fd_name is not None:
            return f"fd://{self.fd_name}"
        if self.path is not None:
            return f"unix:{self.path}"
        if self.fd is not None:
            return f"fd://{self.fd}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(text: str) -> Address:
    """The address that a user has written. Raises ValueError with the accepted forms."""
    for prefix in ("unix://", "unix:"):
        if text.startswith(prefix) and len(text) > len(prefix):
            return Address(path=str(Path(text[len(prefix) :]).absolute()))
    if text.startswith("fd://") and text[5:].isdecimal():
        return Address(fd=int(text[5:]))
    if text.startswith("fd://") and FD_NAME.fullmatch(text[5:]):
        return Address(fd_name=text[5:])
    found = ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(
            f"{text!r} is not an address to listen on. Use HOST:PORT, [IPV6]:PORT, unix:PATH,"
            " fd://NUMBER or fd://NAME."
        )
    return Address(found["six"] or found["host"] or "", int(found["port"]))


def from_host(host: str, port: int) -> Address:
    """The address of a host and a port; the host may be unix://PATH, as in Werkzeug."""
    if host.startswith("unix:"):
        return parse_bind(host)
    if not 0 <= port <= 65535:
        raise ValueError(f"Port {port} does not exist. Use a number from 0 to 65535.")
    return Address(host.removeprefix("[").removesuffix("]"), port)


@dataclass(frozen=True, slots=True)
class SocketFile:
    """Permission bits and group of the files of unix sockets.

    Without a mode, the bits are 660, because clients need write permission to connect: the user and
    the group may. A umask that keeps all others from reading, such as 077, means 600.
    """

    mode: int | None = None
    group: str | None = None

    def bits(self) -> int:
        """The permission bits to set."""
        if self.mode is not None:
            return self.mode
        before = os.umask(0o077)  # the only way to read it
        os.umask(before)
        return 0o600 if before & 0o040 and self.group is None else 0o660

    def number(self) -> int | None:
        """The group's number. Raises ValueError if there is no such group."""
        if self.group is None or self.group.isdecimal():
            return None if self.group is None else int(self.group)
        try:
            import grp

            return grp.getgrnam(self.group).gr_gid
        except (ImportError, KeyError):
            raise ValueError(
                f"This machine has no group {self.group!r}. Use --socket-group with the group of"
                " the proxy's user, which `id -gn www-data` prints."
            ) from None


def group_name(number: int) -> str:
    """The name of a group, or its number."""
    try:
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


def open_sockets(
    addresses: Iterable[Address],
    backlog: int,
    file: SocketFile | None = None,
    passed: PassedSockets | None = None,
) -> list[socket.socket]:
    """Listen on every address. When one fails, close the others and raise BindError.

    Without `file`, the files of unix sockets get the permissions of any other file. `passed` are
    sockets that systemd has passed, which are used for their addresses and names.
    """
    opened: list[socket.socket] = []
    passed = passed or PassedSockets()
    try:
        for address in addresses:
            opened += _passed(address, passed) or [_open(address, backlog, file)]
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _passed(address: Address, passed: PassedSockets) -> list[socket.socket]:
    if address.fd_name is not None:
        try:
            return passed.named(address.fd_name)
        except ValueError as problem:
            raise BindError(errno.EBADF, str(problem)) from None
    if address.path is not None:
        return passed.kept_at_path(address.path)
    return passed.kept_at_port(address.host, address.port or 0)


def _open(address: Address, backlog: int, file: SocketFile | None) -> socket.socket:
    try:
        if address.fd is not None:
            return adopt(address.fd)
        if address.path is not None:
            mode, group = (None, None) if file is None else (file.bits(), file.number())
            return listen_unix(address.path, mode, backlog, group)
        return listen_tcp(address.host, address.port or 0, backlog)
    except ValueError as problem:
        raise BindError(errno.EBADF, str(problem)) from None
    except AddressInUse as problem:
        raise BindError(errno.EADDRINUSE, in_use(address, problem.holder)) from None
    except OSError as problem:
        raise BindError(problem.errno, trouble(address, problem, file or SocketFile())) from None


def check_host(host: str) -> None:
    """Raise BindError when `host` is neither an address nor a known name."""
    if host.startswith("unix:"):
        return
    name = host.removeprefix("[").removesuffix("]")
    try:
        resolve(name or "0.0.0.0", 0)
    except OSError as problem:
        raise BindError(problem.errno, trouble(Address(name, 0), problem, SocketFile())) from None


def in_use(address: Address, holder: str | None) -> str:
    """The message that names the other program and says what to do."""
    by = f" by another program, {holder}" if holder else " by another program"
    if address.path is not None:
        return f"{address.path} is in use{by}. Stop it, or use another path."
    port = address.port or 0
    other = port + 1 if port < 65535 else port - 1
    return (
        f"Port {port} is in use{by}. Stop it, or use another port,"
        f" for example --port {other} (0 chooses a free port)."
    )


def trouble(address: Address, problem: OSError, file: SocketFile) -> str:
    """The message for any other reason why the server cannot listen."""
    if problem.errno == errno.EPERM and address.path is not None and file.group is not None:
        return (
            f"This user is not allowed to give {address.path} to the group {file.group}. Add the"
            f" user to the group: usermod -aG {file.group} USER."
        )
    if problem.errno == errno.ENAMETOOLONG and address.path is not None:
        return f"Cannot listen on {address}. {problem.strerror}. Use a shorter path."
    if isinstance(problem, socket.gaierror):
        return f"The host name {address.host!r} is unknown: {problem.strerror}. Use an IP address."
    if problem.errno == errno.EADDRNOTAVAIL:
        return (
            f"This machine has no address {address.host!r}. Use 127.0.0.1 for this machine only, or"
            " 0.0.0.0 for all its addresses."
        )
    if problem.errno in (errno.EACCES, errno.EPERM) and address.port is not None:
        return (
            f"This user is not allowed to listen on port {address.port}. Use a port above 1023, or"
            " permit it: sysctl net.ipv4.ip_unprivileged_port_start=80 for all users,"
            " AmbientCapabilities=CAP_NET_BIND_SERVICE for a service of systemd."
        )
    reason = str(problem.strerror or problem).rstrip(".")
    return f"Cannot listen on {address}: {reason}.{' Use another path.' if address.path else ''}"


def inherited() -> list[socket.socket]:
    """Sockets that this process inherited from itself before a restart."""
    kept = os.environ.pop(KEPT_FDS, "")
    return [_kept(each) for each in kept.split(",")] if kept else []


def passed_sockets() -> PassedSockets:
    """The sockets that systemd has passed."""
    try:
        return PassedSockets(systemd_sockets())
    except ValueError as problem:
        raise BindError(errno.EBADF, f"LISTEN_FDS: {problem}") from None
    finally:
        if os.environ.get("LISTEN_PID") == str(os.getpid()):
            for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
                os.environ.pop(name, None)  # child processes must not use them


def open_redirects(
    port: int,
    sockets: Iterable[socket.socket],
    backlog: int,
    passed: PassedSockets | None = None,
) -> list[Listener]:
    """Listen on a plain port of the addresses that `sockets` have. Raises BindError."""
    hosts: dict[str, None] = {}
    for sock in sockets:
        name = sock.getsockname()
        if isinstance(name, tuple):
            both = name[0] == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            hosts["" if both else str(name[0])] = None
    if not hosts:
        raise BindError(
            errno.EINVAL, "--redirect-http requires an address with a port. Add --bind HOST:PORT."
        )
    opened = open_sockets([Address(host, port) for host in hosts], backlog, passed=passed)
    found = [sock for sock in opened if isinstance(sock, Listener)]
    for listener in found:
        listener.redirects = True
    return found


def keep(sockets: Iterable[socket.socket]) -> None:
    """Pass the sockets to the program that replaces this process."""
    for sock in sockets:
        sock.set_inheritable(True)
    os.environ[KEPT_FDS] = ",".join(map(_keeping, sockets))


def _keeping(sock: socket.socket) -> str:
    if not isinstance(sock, Listener):
        return str(sock.fileno())
    if sock.redirects:
        return f"{sock.fileno()}={REDIRECTS}"
    return f"{sock.fileno()}=" + ("" if sock.file is None else "{}:{}".format(*sock.file))


def _kept(text: str) -> socket.socket:
    number, ours, file = text.partition("=")
    sock = adopt(int(number))
    if not ours:
        return sock
    listener = Listener(fileno=sock.detach())
    listener.setblocking(False)
    listener.redirects = file == REDIRECTS
    if file and not listener.redirects:
        device, _, inode = file.partition(":")
        listener.path = os.fsdecode(listener.getsockname())
        listener.file = (int(device), int(inode))
    return listener


def url(sock: socket.socket, scheme: str = "http", host: str | None = None) -> str:
    """The URL of a listening socket, for people; `host`: another name of this machine."""
    if isinstance(sock, Listener) and sock.redirects:
        scheme = "http"
    name = sock.getsockname()
    if isinstance(name, str | bytes):
        return f"unix:{os.fsdecode(name)}"
    host, port = host or str(name[0]), int(name[1])
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    elif ":" in host:
        host = f"[{host}]"
    usual = 443 if scheme == "https" else 80
    return f"{scheme}://{host}:{port}/" if port != usual else f"{scheme}://{host}/"


def remove_files(sockets: Iterable[socket.socket]) -> None:
    """Unlink the files of unix sockets that this program bound; call it before closing them.

    The files of systemd's sockets belong to systemd.
    """
    for sock in sockets:
        if isinstance(sock, Listener):
            sock.remove_file()
