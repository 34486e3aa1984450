"""The file of a server's own socket, which something may remove while the server runs.

A cleaner of /tmp does so, or a deployment that empties a folder. Connections that exist stay, but
no worker, script or new connection would find the socket again. So its thread looks at the file
from time to time, and listens again where the file was.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from carboy import user_sockets

log = logging.getLogger("carboy.error")

INTERVAL = 2.0  # seconds between two looks


class SocketFile:
    """The file at the path of `listener`. `listen_again` takes the socket of a new file.

    `name` is the socket, and `loss` what a user misses without it, for the log.
    """

    def __init__(
        self,
        listener: socket.socket,
        listen_again: Callable[[socket.socket], None],
        name: str,
        loss: str,
    ) -> None:
        self._name = name
        self._loss = loss
        self.path: str = listener.getsockname()
        self.look_at = 0.0  # monotonic seconds: the next look
        self._listen_again = listen_again
        self._own = _identity(self.path)
        self._logged = False

    def look(self, now: float) -> None:
        """Listen again if the file is not there, at most once an interval."""
        if now < self.look_at:
            return
        self.look_at = now + INTERVAL
        if self._is_own():
            return
        try:
            listener = user_sockets.listen(self.path)
        except OSError as problem:
            if not self._logged:
                self._logged = True
                log.error(
                    "The %s %s was removed and cannot be made again: %s. %s The server goes on"
                    " trying.", self._name, self.path, str(problem).rstrip("."), self._loss,
                )  # fmt: skip
            return
        self._listen_again(listener)
        self._own, self._logged = _identity(self.path), False
        log.warning("The %s %s was removed and has been made again.", self._name, self.path)

    def remove(self) -> None:
        """Remove the file, unless it is another server's."""
        if self._is_own():
            Path(self.path).unlink(missing_ok=True)

    def _is_own(self) -> bool:
        found = _identity(self.path)
        return found is not None and found == self._own


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.lstat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino
