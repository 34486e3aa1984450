"""The advice for clients that send plain HTTP to a port with TLS: the URL to use.

The request is not parsed by the HTTP machine, because nothing of it is served. Its Host field goes
into a text for the same client, so only letters that a host can have are taken from it.
"""

from __future__ import annotations

import re

PEEKED = 4096  # bytes of the request that are looked at; a head usually comes in one segment
_host = re.compile(
    rb"^host:[ \t]*((?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?)[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
).search


def advice(seen: bytes, own: object) -> str:
    """A sentence with the https URL of this port.

    `seen` is the beginning of the request, `own` the address of the socket, which is used if the
    request names no host.
    """
    found = _host(seen.partition(b"\r\n\r\n")[0])
    if found is not None:
        host = found[1].decode("ascii")
    elif isinstance(own, tuple):
        host = f"[{own[0]}]:{own[1]}" if ":" in str(own[0]) else f"{own[0]}:{own[1]}"
    else:
        return "this socket speaks HTTPS, not plain HTTP"
    return f"this port speaks HTTPS, not plain HTTP. Use https://{host}/"
