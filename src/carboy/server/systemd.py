"""The two conversations with systemd: sockets it hands over, and telling it how we are.

sd_listen_fds(3) and sd_notify(3); both do nothing outside systemd.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST_FD = 3  # SD_LISTEN_FDS_START


def listen_fds(environ: MutableMapping[str, str], pid: int) -> list[int]:
    """The descriptors that were handed over to this process, and to no other.

    The variables are removed, so that no child takes them for its own. ValueError if they
    are there but make no sense.
    """
    count, owner = environ.get("LISTEN_FDS"), environ.get("LISTEN_PID")
    if count is None or owner is None:
        return []
    if not (count.isdecimal() and owner.isdecimal()):
        raise ValueError(f"LISTEN_FDS={count!r} and LISTEN_PID={owner!r} have to be numbers.")
    if int(owner) != pid:
        return []
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    return list(range(FIRST_FD, FIRST_FD + int(count)))


def notify(state: str) -> bool:
    """Send a line such as "READY=1" to the service manager; False if there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # A service manager that does not listen must not keep us from serving.
        channel.setblocking(False)
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            return False
    return True
