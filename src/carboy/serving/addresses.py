"""What a host name given to `run_simple` means to the socket module, under Werkzeug's names."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

__all__ = ["af_unix", "get_interface_ip", "get_sockaddr", "select_address_family"]

UNIX = "unix://"
# A private address nobody answers at: connecting a datagram socket sends nothing, but lets the
# kernel choose the interface.
ELSEWHERE = {socket.AF_INET: "10.253.155.219", socket.AF_INET6: "fd31:f903:5ab5:1::1"}

af_unix: socket.AddressFamily | None = getattr(socket, "AF_UNIX", None)


def select_address_family(host: str, port: int) -> socket.AddressFamily:
    """AF_UNIX for unix://PATH, AF_INET6 for whatever has a colon, else AF_INET."""
    if host.startswith(UNIX) and af_unix is not None:
        return af_unix
    if ":" in host and socket.has_ipv6:
        return socket.AF_INET6
    return socket.AF_INET


def get_sockaddr(
    host: str, port: int, family: socket.AddressFamily
) -> tuple[str, int] | tuple[str, int, int, int] | str:
    """The address as `bind` takes it: an absolute path, or host and port, resolved if known."""
    if family == af_unix:
        return str(Path(host.removeprefix(UNIX)).absolute())
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except socket.gaierror:
        return host, port
    address: tuple[str, int] = found[0][4]  # type: ignore[assignment]
    return address


def get_interface_ip(family: socket.AddressFamily) -> str:
    """Our address in the local network; the loopback one where there is no network."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((ELSEWHERE[socket.AddressFamily(family)], 58162))
        return str(sock.getsockname()[0])
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"
