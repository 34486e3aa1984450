"""Host names as a map needs them."""

from __future__ import annotations

from carboy.http.exceptions import BadHost


def ascii_host(name: str) -> str:
    """The host in ASCII (RFC 3490); raises BadHost where that is impossible."""
    if name.isascii() and len(name) < 64 and name[:1] != "." and ".." not in name:
        return name  # no label can be too long, and none is empty
    host, colon, port = name.partition(":")
    try:
        return host.encode("idna").decode("ascii") + colon + port
    except UnicodeError as error:
        raise BadHost() from error


def without_default_port(name: str, scheme: str) -> str:
    """The host without the port that its scheme implies."""
    port = {"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}.get(scheme, "")
    return name.removesuffix(port) if port else name
