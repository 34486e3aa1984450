"""Telling the service manager how we are (sd_notify(3)); does nothing outside systemd."""

from __future__ import annotations

import os
import socket
import time


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


def notify_reloading() -> bool:
    """Tell the service manager that we start anew, as Type=notify-reload wants it told."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
