"""What a worker has to say to its supervisor.

Bytes that are not text tell what it does; text is why it cannot start, or the stacks that
faulthandler writes to the same pipe when the worker is asked for them or crashes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from carboy.server.in_flight import InFlight
from carboy.server.scoreboard import Row, private_row

READY = b"\x06"
LEAVES = b"\x04"
FAILED = b"\x15"  # the rest until EOF is the text for the user


class Post:
    """How a worker talks with its supervisor, and learns that there is none any more."""

    def __init__(
        self,
        life: int,
        post: int,
        row: Row | None = None,
        in_flight: InFlight | None = None,
        beat: float = 0.0,
    ) -> None:
        self.life = life
        self.post = post
        # What the supervisor reads: the worker's own figures and the requests it runs.
        self.row = row or private_row()
        self.in_flight = in_flight or InFlight()
        self.beat = beat  # seconds between two signs of life; 0: nobody looks

    def ready(self) -> None:
        """From now on this worker takes connections."""
        self._send(READY)

    def leaves(self) -> None:
        """From now on this worker takes no connections: it has been told to stop."""
        self._send(LEAVES)

    def failed(self, text: str) -> None:
        """This worker will never take connections; `text` is for the user."""
        self._send(FAILED + text.encode("utf-8", "replace"))

    def _send(self, message: bytes) -> None:
        try:
            while message:
                message = message[os.write(self.post, message) :]
        except OSError:
            pass  # the supervisor has gone; `when_orphaned` sees to that

    def when_orphaned(self, stop: Callable[[], object], timeout: float) -> None:
        """Call `stop` when the supervisor is gone, and end the process `timeout` s later."""

        def wait() -> None:
            while os.read(self.life, 1):
                pass  # nobody writes; only the end can come
            stop()
            time.sleep(timeout)
            os._exit(1)

        threading.Thread(target=wait, name="carboy-life", daemon=True).start()
