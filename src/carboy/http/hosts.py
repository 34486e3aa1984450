"""Which host a request is for, and whether to believe it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from carboy.http.exceptions import SecurityError

_DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}
# A name of letters, digits, dots and dashes (RFC 1123, section 2.1), or an IPv6 address in
# brackets; then a port. The host ends up in URLs, so nothing that could change their meaning
# passes. The wire's rule (carboy.grammar) is wider: it has to accept what RFC 9110 accepts.
_HOST = re.compile(
    r"([A-Za-z0-9.-]++|\[[0-9A-Fa-f]*+:[0-9A-Fa-f:.]++\])(?::([1-9][0-9]{0,4}+))?"
).fullmatch


def _split(host: str) -> tuple[str, str | None] | None:
    """Name and port of a valid host; None for one that is not."""
    found = _HOST(host)
    if found is None:
        return None
    name, port = found.groups()
    if port is not None and int(port) > 65535:
        return None
    return name, port


def get_host(
    scheme: str,
    host_header: str | None,
    server: tuple[str, int | None] | None = None,
    trusted_hosts: Iterable[str] | None = None,
) -> str:
    """The host of a request, without the port that the scheme implies.

    Taken from the Host field, otherwise from the server's address; "" when it is no valid
    host. SecurityError if `trusted_hosts` is given and does not name it.
    """
    host = ""
    if host_header is not None:
        host = host_header
    elif server is not None and server[1] is not None:
        host = f"[{server[0]}]" if ":" in server[0] else server[0]
        host = f"{host}:{server[1]}"
    parts = _split(host)
    if parts is None:
        valid = ""
    elif parts[1] is not None and parts[1] == _DEFAULT_PORTS.get(scheme):
        valid = parts[0]
    else:
        valid = host
    if trusted_hosts and not host_is_trusted(valid, trusted_hosts):
        raise SecurityError(f"Host {host!r} is not trusted.")
    return valid


def _encoded(name: str) -> str | None:
    """A name as it stands on the wire: international ones in IDNA."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return None


def host_is_trusted(hostname: str | None, trusted_list: Iterable[str] | None = None) -> bool:
    """Whether a host stands in the list; one that begins with a dot means all below it too.

    Ports do not count. Any valid host is trusted without a list.
    """
    parts = _split(hostname) if hostname else None
    if parts is None:
        return False
    if not trusted_list:
        return True
    if isinstance(trusted_list, str):
        trusted_list = [trusted_list]
    return any(_matches(parts[0], entry) for entry in trusted_list)


def _matches(name: str, entry: str) -> bool:
    below = entry.startswith(".")
    encoded = _encoded(entry[1:] if below else entry)
    parts = _split(encoded) if encoded else None
    if parts is None:
        return False
    return name == parts[0] or (below and name.endswith(f".{parts[0]}"))
