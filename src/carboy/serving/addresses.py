"""Hosts of `run_simple` as families and addresses of sockets, under Werkzeug's names."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

__all__ = ["af_unix", "get_interface_ip", "get_sockaddr", "select_address_family"]

UNIX = "unix://"
# Private addresses. Connecting a datagram socket sends nothing, but makes the kernel choose the
# interface, so it does not matter whether a host answers there.
PRIVATE_ADDRESSES = {socket.AF_INET: "10.253.155.219", socket.AF_INET6: "fd31:f903:5ab5:1::1"}

af_unix: socket.AddressFamily | None = getattr(socket, "AF_UNIX", None)


def select_address_family(host: str, port: int) -> socket.AddressFamily:
    """AF_UNIX for unix://PATH, AF_INET6 for a host with a colon, else AF_INET."""
    if host.startswith(UNIX) and af_unix is not None:
        return af_unix
    if ":" in host and socket.has_ipv6:
        return socket.AF_INET6
    return socket.AF_INET


def get_sockaddr(
    host: str, port: int, family: socket.AddressFamily
) -> tuple[str, int] | tuple[str, int, int, int] | str:
    """The address for `bind`: an absolute path, or host and port, resolved if the name is known."""
    if family == af_unix:
        return str(Path(host.removeprefix(UNIX)).absolute())
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except socket.gaierror:
        return host, port
    address: tuple[str, int] = found[0][4]  # type: ignore[assignment]
    return address


def get_interface_ip(family: socket.AddressFamily) -> str:
    """This machine's address in the local network; the loopback address without a network."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((PRIVATE_ADDRESSES[socket.AddressFamily(family)], 58162))
        return str(sock.getsockname()[0])
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"
