"""Messages to the service manager (sd_notify(3)); does nothing outside systemd."""

from __future__ import annotations

import array
import os
import socket
import time
from collections.abc import Sequence


def notify(state: str, descriptors: Sequence[int] = ()) -> bool:
    """Send a line such as "READY=1" to the service manager; False if there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        # A service manager that does not listen must not keep the server from serving.
        channel.setblocking(False)
        try:
            # Not socket.send_fds, which ignores the address.
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            channel.sendmsg([state.encode()], rights if descriptors else [], 0, address)
        except OSError:
            return False
    return True


def notify_reloading() -> bool:
    """Tell the service manager that the code is loaded again, as Type=notify-reload requires."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stored_descriptors() -> int:
    """How many descriptors systemd keeps over a restart (FileDescriptorStoreMax=); 0: none."""
    found = os.environ.get("FDSTORE", "")
    return int(found) if found.isdecimal() else 0


class Status:
    """The line that `systemctl status` shows. Does nothing outside of systemd."""

    INTERVAL = 2.0  # seconds between two lines

    def __init__(self) -> None:
        self.wake_at = float("inf")  # monotonic seconds
        self._gone = 0  # requests of workers that have ended
        self._last = ""

    def begin(self, now: float) -> None:
        """Show the state from now on: the server is ready."""
        if wants_status():
            self.wake_at = now + self.INTERVAL

    def ended(self, requests: int) -> None:
        """Note the requests of a worker that has ended."""
        self._gone += requests

    def look(self, requests: Sequence[int], wanted: int, now: float) -> None:
        """Send the line if it has changed; `requests` are those of each worker that serves."""
        if now < self.wake_at:
            return
        self.wake_at = now + self.INTERVAL
        handled = self._gone + sum(requests)
        line = f"{len(requests)} of {wanted} workers serve; {handled} requests handled"
        if line != self._last and notify(f"STATUS={line}"):
            self._last = line


def wants_status() -> bool:
    """Whether a service manager shows the state of this server."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


class Watchdog:
    """The sign of life that systemd requires with WatchdogSec= (sd_watchdog_enabled(3)).

    Does nothing if the service manager has not asked this process for one.
    """

    def __init__(self) -> None:
        self.timeout = _watchdog_timeout()  # seconds; 0: no sign of life is required
        self.wake_at = 0.0 if self.timeout else float("inf")  # monotonic seconds

    def feed(self) -> None:
        """Give the sign."""
        notify("WATCHDOG=1")

    def next(self, now: float) -> None:
        """Wait for half of the timeout, as systemd recommends."""
        self.wake_at = now + self.timeout / 2


def _watchdog_timeout() -> float:
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return 0.0
    ours = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return max(0.0, microseconds / 1e6) if ours else 0.0
