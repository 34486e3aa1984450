"""Where the admin server listens, and how commands find it.

a path        a unix socket
HOST:PORT     an address for other programs and machines; commands need the token
none          no admin server
otherwise     a unix socket in the folder of the user (carboy.user_sockets)
"""

from __future__ import annotations

from pathlib import Path

from carboy.server.dataclass import dataclass

NONE = "none"
SUFFIX = ".admin"  # of the socket in the folder of the user
TOKEN = "CARBOY_ADMIN_TOKEN"


@dataclass(frozen=True, slots=True)
class Place:
    """A path, or a host and a port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_place(text: str) -> Place:
    """The place that a user has written. Raises ValueError."""
    path = text.removeprefix("unix://").removeprefix("unix:")
    if path != text or "/" in text:
        return Place(path=str(Path(path).absolute()))
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (colon and not host):
        raise ValueError(
            f"{text!r} is not a place for the admin server. Use a path such as /run/shop/admin or"
            " ./admin.sock, HOST:PORT, or none."
        )
    return Place(host=host.removeprefix("[").removesuffix("]") or "127.0.0.1", port=int(port))
