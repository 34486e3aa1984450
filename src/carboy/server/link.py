"""A supervisor's end of what it shares with one worker."""

from __future__ import annotations

import os

from carboy.server.in_flight import InFlight
from carboy.server.post import FAILED, LEAVES, READY, Post
from carboy.server.scoreboard import Row

LONGEST = 256 * 1024  # bytes of text that are kept; the stacks of some hundred threads


class Link:
    """The worker's pipe, its row of the scoreboard and the requests it runs.

    Made before the fork. Then the worker takes `post` and the supervisor calls `forked`.
    """

    def __init__(self, row: Row, beat: float) -> None:
        self.row = row
        self.in_flight = InFlight()
        self.reader, self._writer = os.pipe()
        self._beat = beat
        self._received = bytearray()

    def post(self, life: int) -> Post:
        """The worker's end."""
        os.close(self.reader)
        return Post(life, self._writer, self.row, self.in_flight, self._beat)

    def forked(self) -> None:
        """The worker has its end now."""
        os.close(self._writer)

    def read(self) -> bytes:
        """What the worker has sent, b"" when it never will again; BlockingIOError."""
        received = os.read(self.reader, 65536)
        room = LONGEST - len(self._received)
        self._received += received[: max(0, room)]
        return received

    def read_rest(self) -> None:
        """Read what is left after the worker's death."""
        os.set_blocking(self.reader, False)
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass  # a child of the worker still holds the other end

    def failure(self) -> str | None:
        """Why the worker could not start, if it has said so."""
        if not self._received.startswith(FAILED):
            return None
        return self._received[len(FAILED) :].decode("utf-8", "replace")

    def take_stacks(self) -> str:
        """What faulthandler has written since the last time, "" if nothing."""
        text = self._received.replace(READY, b"").replace(LEAVES, b"")
        self._received.clear()
        return text.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Let go of the pipe and the memory; what was read stays."""
        os.close(self.reader)
        self.in_flight.close()
